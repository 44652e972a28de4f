"""Pages a person can use: study.html of one scan, index.html of many; each opens from disk and asks nobody."""

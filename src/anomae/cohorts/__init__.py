"""The folders of a data set to cases with patients, lesion masks and labels; splits by patient."""

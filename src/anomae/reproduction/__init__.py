"""The paper's tables and figures on one's own copy of the data."""

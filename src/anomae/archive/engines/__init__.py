"""What hands pieces to workers and brings their answers back: processes here, a Dask cluster, or Ray."""

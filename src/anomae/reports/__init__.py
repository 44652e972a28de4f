"""Reports: schema, sections, pages.  `figures` are numbers, a `plot` is a drawn chart, a `picture` an image of a slice."""

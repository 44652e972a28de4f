"""Reports: schema, sections, pages.  Figures are numbers, a plot is a drawn chart, a picture is an image of a slice."""

"""Reports: schema, metric definitions, pages, drawings."""

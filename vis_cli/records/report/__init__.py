"""Report pages of results: one HTML file per result that works offline, and an index page. Used by `vis report`."""

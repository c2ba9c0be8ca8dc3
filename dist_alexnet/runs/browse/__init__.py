"""A folder of runs as whoever looks at many sees it: what lies in it, and their records without reading all of them."""

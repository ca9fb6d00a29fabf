"""Networks: they take sizes and know no objective."""

"""Maps on the flat sky: how they are made as random fields, and what is measured on them."""

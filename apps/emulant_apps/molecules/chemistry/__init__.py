"""The only rooms that touch RDKit: reading, standard forms, properties, alerts, pictures."""

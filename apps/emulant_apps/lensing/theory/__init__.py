"""What theory says of the convergence: distances, growth, matter power, angular power."""

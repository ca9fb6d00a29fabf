"""Turn chance, and what a method has learnt, into events: integrators and walks."""

"""The rooms that touch pandas and scikit-learn: estimators that keep their contracts."""

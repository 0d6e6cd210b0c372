"""Features (pictures → (N, D)) → statistics (n, mean, covariance) → distance (two statistics → a number)."""

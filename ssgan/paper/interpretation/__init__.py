"""How interpretable unsupervised codes are: their correlation with traits that people see."""

"""Reading labels: tables, several readers, published gradings, centroids and folder names, as entries of a cohort."""

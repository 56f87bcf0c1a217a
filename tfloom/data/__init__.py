"""Sample data: real flights and digits, and seeded tables. Nothing here imports TensorFlow."""

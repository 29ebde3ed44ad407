"""The product, broken on purpose: whatever proves it must notice."""

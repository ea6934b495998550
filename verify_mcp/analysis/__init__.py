"""What changed, what stands out, and how sure that is. Pure functions about sessions in numbers."""

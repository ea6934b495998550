"""All questions."""

from evals import development, finance, fraud, operations, product, support, traps

AREAS = ("support", "product", "fraud", "finance", "development", "operations")
QUESTIONS = (
    *support.QUESTIONS,
    *product.QUESTIONS,
    *fraud.QUESTIONS,
    *finance.QUESTIONS,
    *development.QUESTIONS,
    *operations.QUESTIONS,
    *traps.QUESTIONS,
)

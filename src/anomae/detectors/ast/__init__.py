"""AST, asymmetric student and teacher."""

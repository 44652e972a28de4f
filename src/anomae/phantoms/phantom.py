"""Made-up scans, for tests and examples: heads (MRI) and chests (CT) with lesions of known position."""

from anomae.phantoms.chest import make_chest
from anomae.phantoms.head import MODALITIES, Head, imagine_head, make_head, scan_head
from anomae.phantoms.shapes import Phantom

__all__ = ["MODALITIES", "Head", "Phantom", "imagine_head", "make_chest", "make_head", "scan_head"]

"""Made-up scans, for tests, examples and trying things out: heads (MRI) and chests (CT) with lesions of known place."""

from anomae.phantoms.chest import make_chest
from anomae.phantoms.head import MODALITIES, Head, imagine_head, make_head, scan_head
from anomae.phantoms.shapes import Phantom

__all__ = ["MODALITIES", "Head", "Phantom", "imagine_head", "make_chest", "make_head", "scan_head"]

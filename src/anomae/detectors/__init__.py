"""Every method behind one protocol, a file a method; DETECTORS in `registry` names them."""

"""What a file says of itself, format by format, read without decoding a pixel.

Every format's file has ``header(data) -> Header``. Some also write: the bytes that a decoder may see of a
file (``clean``), or an encoded file with more in it (``with_metadata``, ``with_fields``). Nothing here needs
NumPy.
"""

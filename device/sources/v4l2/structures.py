"""The layouts of V4L2's structures (Linux: include/uapi/linux/videodev2.h)."""

from __future__ import annotations

import ctypes

_u8, _u32, _s32, _s64 = ctypes.c_uint8, ctypes.c_uint32, ctypes.c_int32, ctypes.c_int64


class Capability(ctypes.Structure):
    """struct v4l2_capability."""

    _fields_ = (
        ("driver", ctypes.c_char * 16),
        ("card", ctypes.c_char * 32),
        ("bus_info", ctypes.c_char * 32),
        ("version", _u32),
        ("capabilities", _u32),
        ("device_caps", _u32),
        ("reserved", _u32 * 3),
    )


class FormatDescription(ctypes.Structure):
    """struct v4l2_fmtdesc."""

    _fields_ = (
        ("index", _u32),
        ("type", _u32),
        ("flags", _u32),
        ("description", ctypes.c_char * 32),
        ("pixelformat", _u32),
        ("mbus_code", _u32),
        ("reserved", _u32 * 3),
    )


class FrameSize(ctypes.Structure):
    """struct v4l2_frmsizeenum. `numbers`: width and height, or minimum, maximum and step of each."""

    _fields_ = (
        ("index", _u32),
        ("pixel_format", _u32),
        ("type", _u32),
        ("numbers", _u32 * 6),
        ("reserved", _u32 * 2),
    )


class FrameInterval(ctypes.Structure):
    """struct v4l2_frmivalenum. `numbers`: one fraction of a second, or minimum, maximum and step."""

    _fields_ = (
        ("index", _u32),
        ("pixel_format", _u32),
        ("width", _u32),
        ("height", _u32),
        ("type", _u32),
        ("numbers", _u32 * 6),
        ("reserved", _u32 * 2),
    )


class QueriedControl(ctypes.Structure):
    """struct v4l2_query_ext_ctrl."""

    _fields_ = (
        ("id", _u32),
        ("type", _u32),
        ("name", ctypes.c_char * 32),
        ("minimum", _s64),
        ("maximum", _s64),
        ("step", ctypes.c_uint64),
        ("default", _s64),
        ("flags", _u32),
        ("elem_size", _u32),
        ("elems", _u32),
        ("nr_of_dims", _u32),
        ("dims", _u32 * 4),
        ("reserved", _u32 * 32),
    )


class QueriedMenu(ctypes.Structure):
    """struct v4l2_querymenu. `text` is a name, or a signed 64-bit number for an integer menu."""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("id", _u32), ("index", _u32), ("text", _u8 * 32), ("reserved", _u32))


class _ControlValue(ctypes.Union):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("value", _s32), ("value64", _s64), ("pointer", ctypes.c_void_p))


class ExtControl(ctypes.Structure):
    """struct v4l2_ext_control."""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("id", _u32), ("size", _u32), ("reserved2", _u32), ("u", _ControlValue))


class ExtControls(ctypes.Structure):
    """struct v4l2_ext_controls."""

    _fields_ = (
        ("which", _u32),
        ("count", _u32),
        ("error_idx", _u32),
        ("request_fd", _s32),
        ("reserved", _u32),
        ("controls", ctypes.POINTER(ExtControl)),
    )


class PixelFormat(ctypes.Structure):
    """struct v4l2_pix_format."""

    _fields_ = tuple(
        (name, _u32)
        for name in (
            *("width", "height", "pixelformat", "field", "bytesperline", "sizeimage", "colorspace", "priv", "flags"),
            *("ycbcr_enc", "quantization", "xfer_func"),
        )
    )


class _FormatUnion(ctypes.Union):
    _fields_ = (("pix", PixelFormat), ("raw", _u8 * 200), ("_aligned", ctypes.c_void_p))


class Format(ctypes.Structure):
    """struct v4l2_format."""

    _fields_ = (("type", _u32), ("fmt", _FormatUnion))

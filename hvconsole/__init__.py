"""hvconsole: one desktop console for XenServer/XCP-ng, Hyper-V and VMware."""

__version__ = "0.1.0"

"""The laboratory of the end-to-end tests: a real libvirtd, real emulated guests, real mounts.

Reading order: namespace (a private machine within the machine), process, kernel, initramfs, libvirtd,
domain, guest, raplsim, wattport, prometheus, stats, systemd; laboratory ties them together and tears them down.
Only the standard library is used. Everything needs root.
"""

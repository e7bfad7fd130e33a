"""What to do when a platform cannot be reached or logged in to, in words for the connection doctor. Pure data."""

from __future__ import annotations

from collections.abc import Mapping

Advice = Mapping[str, str]
"""About ("service", "no-tls", "fingerprint", "not-ready", "login", "emergency", "permission") → what to do."""

NO_ADVICE: Advice = {
    "service": "Check that the server is on, that the port is right and that no firewall stands between.",
    "no-tls": "Check that the port is right; something else seems to answer there.",
    "fingerprint": "Compare the fingerprint with the server's own console. If it is the same, accept it "
    "(command line: --fingerprint).",
    "not-ready": "The server answers but doesn't let anybody log in: it may be starting. Try again in a minute.",
    "login": "Check user name and password.",
    "emergency": "Log in to it locally (command line: --option emergency=yes).",
    "permission": "Log in as a user who may see the server's objects.",
}

XENSERVER: Advice = {
    "service": "Check that the host is on and that its toolstack runs (on the host: xe-toolstack-restart); "
    "the port is 443.",
    "no-tls": "XenServer answers with TLS on port 443. Hosts as old as 6.5 need outdated TLS allowed "
    "(command line: --option legacy_tls=yes).",
    "fingerprint": "Compare the fingerprint on the host itself: "
    "openssl x509 -in /etc/xensource/xapi-ssl.pem -noout -fingerprint -sha256. If it is the same, accept it "
    "(command line: --fingerprint).",
    "not-ready": "The host answers but doesn't let anybody log in: try again in a minute. If the pool's master is "
    "dead, log in to this host locally (command line: --option emergency=yes).",
    "login": "Check name and password: root, or a user of the directory that the pool has joined.",
    "emergency": "The pool's master can't be reached by this host. Log in to it locally "
    "(command line: --option emergency=yes) to make it master or point it to another one.",
    "permission": "The user needs at least the role read-only to look and vm-operator to work VMs "
    "(XenCenter: pool, tab Users).",
}

VSPHERE: Advice = {
    "service": "Check that the host or vCenter is on and its management services run; the port is 443.",
    "no-tls": "ESXi and vCenter answer with TLS on port 443.",
    "fingerprint": "Compare the fingerprint on the server's own console (ESXi: F2, View Support Information) or with "
    "openssl x509 -in /etc/vmware/ssl/rui.crt -noout -fingerprint -sha256. If it is the same, accept it "
    "(command line: --fingerprint).",
    "login": "Check name and password: root on ESXi, user@domain (often administrator@vsphere.local) on vCenter. "
    "After several wrong passwords the account is locked for some minutes.",
    "permission": "The user needs at least the role Read-only on the objects, and lockdown mode must be off on ESXi.",
}

HYPERV: Advice = {
    "service": "On the host, as administrator: winrm quickconfig -transport:https (port 5986), or Enable-PSRemoting "
    "for hyperv+http:// (port 5985). Check the Windows firewall.",
    "no-tls": "Port 5986 speaks TLS, port 5985 doesn't: for that one the URL begins with hyperv+http://.",
    "fingerprint": "Compare the certificate's SHA-256 on the host: winrm enumerate winrm/config/listener shows which "
    "one is used. If it is the same, accept it (command line: --fingerprint).",
    "login": "Check name and password; domain users as DOMAIN\\user or user@domain. Local users other than the "
    "built-in Administrator need LocalAccountTokenFilterPolicy=1 on the host.",
    "permission": "The user must be a member of “Hyper-V Administrators” and of “Remote Management Users” on the host.",
}

ADVICE: Mapping[str, Advice] = {"xenserver": XENSERVER, "vsphere": VSPHERE, "hyperv": HYPERV}

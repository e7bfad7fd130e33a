"""What to do when a platform cannot be reached or logged in to, in words for the connection doctor. Pure data."""

from __future__ import annotations

from collections.abc import Mapping

Advice = Mapping[str, str]
"""About ("service", "no-tls", "fingerprint", "not-ready", "login", "emergency", "permission", "role", "busy") → what
to do."""

NO_ADVICE: Advice = {
    "service": "Check that the server is on, that the port is right and that no firewall stands between.",
    "no-tls": "Check that the port is right; something else seems to answer there.",
    "fingerprint": "Compare the fingerprint with the server's own console. If it is the same, accept it "
    "(command line: --fingerprint).",
    "not-ready": "The server answers but doesn't let anybody log in: it may be starting. Try again in a minute.",
    "login": "Check user name and password.",
    "emergency": "Log in to it locally (command line: --option emergency=yes).",
    "permission": "Log in as a user who may see the server's objects.",
    "role": "Check that address and port belong to such a server.",
    "busy": "The server is busy. Try again in a minute.",
}

XENSERVER: Advice = {
    "service": "Check that the host is on and that its toolstack runs (on the host: xe-toolstack-restart); "
    "the port is 443.",
    "no-tls": "XenServer answers with TLS on port 443. Hosts as old as 6.5 need outdated TLS allowed "
    "(Connect dialog, or on the command line: --option legacy_tls=yes).",
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
    "no-tls": "ESXi and vCenter answer with TLS on port 443. Those as old as 5.5 need outdated TLS allowed "
    "(Connect dialog, or on the command line: --option legacy_tls=yes).",
    "fingerprint": "Compare the fingerprint on the server's own console (ESXi: F2, View Support Information) or with "
    "openssl x509 -in /etc/vmware/ssl/rui.crt -noout -fingerprint -sha256. If it is the same, accept it "
    "(command line: --fingerprint).",
    "login": "Check name and password: root on ESXi, user@domain (often administrator@vsphere.local) on vCenter. "
    "After several wrong passwords the account is locked for some minutes.",
    "permission": "The user needs at least the role Read-only on the objects, and lockdown mode must be off on ESXi.",
}

HYPERV: Advice = {
    "service": "On the host, in PowerShell as administrator: winrm enumerate winrm/config/listener shows what listens. "
    "For https: $c = New-SelfSignedCertificate -DnsName $env:COMPUTERNAME -CertStoreLocation "
    "Cert:\\LocalMachine\\My; New-Item WSMan:\\localhost\\Listener -Transport HTTPS -Address * "
    "-CertificateThumbPrint $c.Thumbprint -Force; New-NetFirewallRule -DisplayName 'WinRM HTTPS' -Protocol TCP "
    "-LocalPort 5986 -Action Allow. For hyperv+http://: Set-NetConnectionProfile -NetworkCategory Private (where the "
    "network is public); Enable-PSRemoting -Force.",
    "no-tls": "Port 5986 speaks TLS, port 5985 doesn't: for that one the URL begins with hyperv+http://.",
    "fingerprint": "Compare the certificate's SHA-256 on the host: Get-ChildItem Cert:\\LocalMachine\\My | "
    "ForEach-Object { $_.Subject; $_.GetCertHashString('SHA256') }; winrm enumerate winrm/config/listener names the "
    "one in use. If it is the same, accept it (command line: --fingerprint).",
    "login": "Check name and password; domain users as DOMAIN\\user or user@domain. A local user other than the "
    "built-in Administrator is refused until this was set on the host: Set-ItemProperty "
    "HKLM:\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Policies\\System LocalAccountTokenFilterPolicy 1 "
    "-Type DWord. For Kerberos the clocks must agree within 5 minutes: w32tm /resync. Nothing needs to be entered into "
    "TrustedHosts.",
    "permission": "On the host, as administrator: Add-LocalGroupMember 'Hyper-V Administrators' USER; "
    "Add-LocalGroupMember 'Remote Management Users' USER; in wmimgmt.msc give that group Remote Enable and Execute "
    "Methods on Root\\virtualization\\v2 and Root\\CIMV2. For a local user other than the built-in Administrator "
    "also: Set-ItemProperty HKLM:\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Policies\\System "
    "LocalAccountTokenFilterPolicy 1 -Type DWord.",
    "role": "Is it a Hyper-V host, Windows Server 2012 R2 or newer? On a server: Install-WindowsFeature Hyper-V "
    "-IncludeManagementTools -Restart; on Windows 10 or 11: Enable-WindowsOptionalFeature -Online -FeatureName "
    "Microsoft-Hyper-V -All; then: Start-Service vmms.",
    "not-ready": "On the host: Get-Service WinRM, vmms; Restart-Service WinRM.",
    "busy": "On the host: winrm set winrm/config/service '@{MaxConcurrentOperationsPerUser=\"1500\"}'; close other "
    "consoles that use this account, or free what they left open: Restart-Service WinRM.",
}

ADVICE: Mapping[str, Advice] = {"xenserver": XENSERVER, "vsphere": VSPHERE, "hyperv": HYPERV}

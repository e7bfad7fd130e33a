"""The lab's XenAPI server: a pool of hosts that speaks XML-RPC, JSON-RPC and xapi's HTTP handlers over TLS."""

"""The network monitor: per-VM threads, one shared ICMP engine, pure judgement, automatic snapshots."""

"""All checks, in the order of the report."""

from typing import Final

from bridge.cli.doctor.capacity import check_capacity
from bridge.cli.doctor.clock import check_clock
from bridge.cli.doctor.cluster import check_cluster
from bridge.cli.doctor.customers import check_agents, check_webhooks
from bridge.cli.doctor.database import check_database
from bridge.cli.doctor.disclosure import check_disclosures
from bridge.cli.doctor.drain import check_drain
from bridge.cli.doctor.machine import check_disk, check_open_files, check_opus, check_packet_path
from bridge.cli.doctor.media_ports import check_address, check_media_ports
from bridge.cli.doctor.names import check_names
from bridge.cli.doctor.recovery import check_recovery
from bridge.cli.doctor.runner import Check
from bridge.cli.doctor.running import check_http
from bridge.cli.doctor.sip import check_sip
from bridge.cli.doctor.storage import check_media_files, check_s3
from bridge.cli.doctor.tls import check_tls
from bridge.cli.doctor.turn import check_turn
from bridge.cli.doctor.whatsapp import check_cloud, check_gateways

CHECKS: Final = (
    Check("http", check_http),
    Check("tls", check_tls),
    Check("media_ports", check_media_ports),
    Check("external_address", check_address),
    Check("turn", check_turn, seconds=30.0),
    Check("dns", check_names),
    Check("clock", check_clock),
    Check("opus", check_opus),
    Check("packet_path", check_packet_path),
    Check("open_files", check_open_files),
    Check("disk", check_disk),
    Check("database", check_database),
    Check("cluster", check_cluster, seconds=30.0),
    Check("drain", check_drain),
    Check("recovery", check_recovery),
    Check("media", check_media_files),
    Check("s3", check_s3, seconds=40.0),
    Check("webhooks", check_webhooks, seconds=120.0),
    Check("whatsapp", check_cloud, seconds=60.0),
    Check("gateway", check_gateways),
    Check("sip", check_sip, seconds=30.0),
    Check("agents", check_agents, seconds=120.0),
    Check("disclosure", check_disclosures),
    Check("cpu", check_capacity, exclusive=True),
)

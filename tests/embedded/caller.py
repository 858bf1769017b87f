"""Start the services on a data folder, print their addresses, and wait to be ended."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

from lead_orchestrator.embedded import start_embedded

if __name__ == "__main__":
    with start_embedded(Path(sys.argv[1]), durable=False, ephemeral=sys.argv[2] == "ephemeral") as services:
        sys.stdout.write(json.dumps({"admin_url": services.admin_url, "redis_url": services.redis_url}) + "\n")
        sys.stdout.flush()
        signal.pause()

"""Services of the deploy platform: Deploy, Runner, runtime-agent, gateway_sync."""

# Runs on the router; what it prints is read by the workflow run-script.json.
echo "disk=$([ "$(df -P / | awk 'NR == 2 { print $5 + 0 }')" -lt 101 ] && echo ok || echo full)"
echo "memory=$([ -r /proc/meminfo ] && echo ok || echo unknown)"

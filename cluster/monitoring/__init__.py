"""What Prometheus and Grafana need to show runs; README.md says how to start them. Data, and the program that makes the dashboards."""

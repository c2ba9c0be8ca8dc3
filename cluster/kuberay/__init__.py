"""Manifests for KubeRay."""

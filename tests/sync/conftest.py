from tests.sync.rig import make_rig

__all__ = ["make_rig"]

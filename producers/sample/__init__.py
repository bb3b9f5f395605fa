"""The believable sample: a week of every connected indicator, told as agencies would, mistakes included."""

from producers.sample.publish import Summary, publish_live, publish_week

__all__ = ["Summary", "publish_live", "publish_week"]

"""SuperSearch: searches of crashes in Socorro's language of parameters, answered from the lake by DuckDB.

parameters -> `parse` -> `Search` -> `statement` -> SQL with bound values -> `answer`. Knows the searchable fields only
as the `SearchField`s that it is given.
"""

from missioncontrol.query.supersearch.fields import SearchField, SearchFields
from missioncontrol.query.supersearch.model import Search
from missioncontrol.query.supersearch.search import CrashSearch, Found

__all__ = ["CrashSearch", "Found", "Search", "SearchField", "SearchFields"]

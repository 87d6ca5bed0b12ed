"""Courses of sums, read from the lake: one row of lists a course, so that tens of thousands of numbers come at once.

SQL is made here of names that the registry declares; what users said is a parameter or a quoted literal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import msgspec

from missioncontrol.errors import BadRequest
from missioncontrol.lake.tables import lake_tables
from missioncontrol.query import dialect, filters
from missioncontrol.query.aggregates import EXPERIMENT_COLUMNS
from missioncontrol.query.engine import Engine
from missioncontrol.query.published import COLUMN, COLUMNS, Named, with_published
from missioncontrol.query.relation import Span
from missioncontrol.query.statement import Parameter
from missioncontrol.query.versions import between, version_key
from missioncontrol.web.measure.kept_pieces import KeptPieces, Piece, files_by_day
from missioncontrol.web.measure.lookup import MOST_PARTS, Course, Life
from missioncontrol.web.measure.sums import add, total


class RowsOf(msgspec.Struct, frozen=True):
    """Rows of a table: a condition in SQL apart from their time, the values of its `?`, the columns that it reads."""

    where: str
    parameters: list[Parameter]
    columns: tuple[str, ...]
    span: Span
    of_experiments: bool
    named: Named = ()
    """Builds that count for the version that they were published as."""

    @property
    def relation(self) -> str:
        """`{relation}`, or what has the versions that builds were published as besides."""
        return with_published(self.named)

    def key(self, name: str) -> str:
        """The column of the relation that a group is told by."""
        return COLUMN if self.named and name == "version" else dialect.name(name)

    def read(self, names: Sequence[str]) -> tuple[str, ...]:
        """The columns that are read where these are asked for."""
        return tuple(dict.fromkeys((*names, *self.columns, *(COLUMNS if self.named else ()))))

    @property
    def within(self) -> str:
        """The condition with that of their time."""
        if not self.span.first or not self.span.last:
            return self.where
        first, last = dialect.instant(self.span.first), dialect.instant(self.span.last)
        return f"{self.where} AND window_start BETWEEN {first} AND {last}"


class CourseReader:
    """Reads error_aggregates, or experiment_aggregates where an experiment is asked for. Thread-safe; blocks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept = KeptPieces()

    def read(
        self,
        rows: RowsOf,
        measures: tuple[str, str],
        keys: tuple[str, ...],
        step: timedelta,
        lives: Sequence[Life] = (),
        since: datetime | None = None,
    ) -> list[Course]:
        """Sums by keys and place, as one row of lists a course: so tens of thousands of them are read at once.

        Places count from the start of the life of the first key, else from `since`, else from the epoch.
        """
        found = None if rows.of_experiments else self._read_days(rows, measures, keys, step, lives, since)
        return self._read_whole(rows, measures, keys, step, lives, since) if found is None else found

    def first_windows(self, rows: RowsOf, key: str) -> dict[str | None, datetime]:
        """Start of the first window of each value of `key`."""
        files = files_by_day(self._engine.reader.snapshot("error_aggregates"), rows.span)
        question = ("first", rows.where, tuple(map(str, rows.parameters)), key, rows.named)
        columns = rows.read((key, "window_start"))
        sql = (
            f"SELECT {rows.key(key)}, min(epoch_us(window_start)) FROM {rows.relation} WHERE {rows.within} "
            f"GROUP BY 1, epoch_us(window_start) // {_DAY_US}"
        )
        pieces = self._kept.find(dict.fromkeys(files, question), files) if files else {}
        lacking = {day: paths for day, paths in (files or {}).items() if day not in pieces}
        span = rows.span
        if files is not None:
            span = msgspec.structs.replace(span, files=frozenset[str]().union(*lacking.values()))
        read: dict[date, list[Piece]] = {}
        for name, us in (
            self._engine.over_sums(columns, sql, rows.parameters, span) if lacking or not files else ()
        ):
            read.setdefault(_day_at(us // _DAY_US), []).append((name, None, [us], [], []))
        for day, paths in lacking.items():
            self._kept.keep(question, day, paths, read.get(day, []))
        found: dict[str | None, int] = {}
        for of_day in (pieces | read).values():
            for name, _, (us,), *_rest in of_day:
                found[name] = min(us, found.get(name, us))
        return {name: datetime.fromtimestamp(us // 1_000_000, UTC) for name, us in found.items()}

    def _read_whole(
        self,
        rows: RowsOf,
        measures: tuple[str, str],
        keys: tuple[str, ...],
        step: timedelta,
        lives: Sequence[Life],
        since: datetime | None,
    ) -> list[Course]:
        """All of it by one query."""
        zero, join, of_lives = _joined(rows, keys, lives, since)
        parameters = [*rows.parameters, *of_lives]
        named = _named(keys)
        by = (
            f" GROUP BY {', '.join(named)} ORDER BY sum(per) DESC NULLS LAST LIMIT {MOST_PARTS}"
            if named
            else ""
        )
        sql = f"SELECT {', '.join([*named, *_LISTS])} FROM ({_sums(rows, measures, keys, step, zero, join)}){by}"
        columns = _columns(rows, measures, keys)
        if rows.of_experiments:
            found = self._engine.over("experiment_aggregates", sql, parameters, rows.span, columns)
        else:
            found = self._engine.over_sums(columns, sql, parameters, rows.span)
        padded = [(*row[: len(keys)], *(None,) * (2 - len(keys)), *row[len(keys) :]) for row in found]
        return [Course(row[0], row[2], row[3], row[4], row[1]) for row in padded if row[2]]

    def _read_days(
        self,
        rows: RowsOf,
        measures: tuple[str, str],
        keys: tuple[str, ...],
        step: timedelta,
        lives: Sequence[Life],
        since: datetime | None,
    ) -> list[Course] | None:
        """The same from days that are kept, and by one query what is not. None: there is no day to keep, or there are
        more courses than fit.
        """
        files = files_by_day(self._engine.reader.snapshot("error_aggregates"), rows.span)
        base = (rows.where, tuple(map(str, rows.parameters)), measures, keys, step, since, rows.named)
        questions = {
            day: (*base, _parts_of(day, lives)) for day in files or {} if lives or _wholly(day, rows.span)
        }
        if files is None or not questions:
            return None
        pieces = self._kept.find(questions, files)
        lacking = {day: paths for day, paths in files.items() if day not in pieces}
        if lacking:
            read = self._read_pieces(rows, measures, keys, step, lives, since, lacking)
            if read is None:
                return None
            for day in lacking:
                if day in questions:
                    self._kept.keep(questions[day], day, files[day], read.get(day, []))
            pieces |= read
        found: dict[tuple[str | None, str | None], Course] = {}
        for of_day in pieces.values():
            for group, part, places, values, per in of_day:
                course = found.setdefault((group, part), Course(group, [], [], [], part))
                course.places.extend(places)
                course.values.extend(values)
                course.per.extend(per)
        courses = (
            [_without_doubles(course) for course in found.values()]
            if lives or since
            else list(found.values())
        )
        if len(courses) <= MOST_PARTS:
            return courses
        return sorted(courses, key=lambda course: total(course.per) or 0.0, reverse=True)[:MOST_PARTS]

    def _read_pieces(
        self,
        rows: RowsOf,
        measures: tuple[str, str],
        keys: tuple[str, ...],
        step: timedelta,
        lives: Sequence[Life],
        since: datetime | None,
        lacking: Mapping[date, frozenset[str]],
    ) -> dict[date, list[Piece]] | None:
        """What is in the files of some days, within the span; None: more than is kept."""
        span = msgspec.structs.replace(rows.span, files=frozenset[str]().union(*lacking.values()))
        named = _named(keys)
        zero, join, of_lives = _joined(rows, keys, lives, since)
        # By the clock the place says the day; an interval of an age can begin on one day and end on the next.
        day = f"epoch_us(r.window_start) // {_DAY_US}" if lives or since else ""
        select = ", ".join([*named, "day" if day else "place // 86400 AS day", *_LISTS])
        sql = (
            f"SELECT {select} FROM ({_sums(rows, measures, keys, step, zero, join, day)}) "
            f"GROUP BY {', '.join([*named, 'day'])} LIMIT {_MOST_PIECES + 1}"
        )
        parameters = [*rows.parameters, *of_lives]
        read = self._engine.over_sums(_columns(rows, measures, keys), sql, parameters, span)
        if len(read) > _MOST_PIECES:
            return None
        found: dict[date, list[Piece]] = {}
        for row in read:
            group, part = (*row[: len(keys)], None, None)[:2]
            found.setdefault(_day_at(row[len(keys)]), []).append((group, part, *row[len(keys) + 1 :]))
        return found

    def rows_of(
        self,
        selected: Sequence[filters.TextFilter],
        members: Mapping[str, Sequence[str | None]],
        span: Span,
        named: Named = (),
    ) -> RowsOf:
        """The rows of a selection whose `members` columns have one of their values, in windows within `span`.

        A row of a `named` build is of the version that it was published as; a condition on versions takes that, and
        what its pings say. Rows of experiments know no builds.
        """
        experiments = any(one.column in EXPERIMENT_COLUMNS for one in selected)
        if experiments:
            self._refuse_not_kept([one.column for one in selected])
            named = ()
        found = RowsOf("", [], tuple(one.column for one in selected), span, experiments, named)
        terms: list[str] = []
        parameters: list[Parameter] = []
        for one in selected:
            term, values = self._term(one, span, named)
            terms.append(term)
            parameters += values
        for column, only in members.items():
            texts = [dialect.text(name) for name in only if name is not None]
            held = [f"{found.key(column)} IN ({', '.join(texts)})"] if texts else []
            held += [f"{found.key(column)} IS NULL"] if None in only else []
            terms.append(f"({' OR '.join(held) or 'false'})")
        return msgspec.structs.replace(found, where=" AND ".join(terms), parameters=parameters)

    def _term(self, one: filters.TextFilter, span: Span, named: Named) -> tuple[str, list[Parameter]]:
        column = dialect.name(one.column)
        if one.how in ("null", "not_null"):
            return f"{column} IS {'NOT ' if one.how == 'not_null' else ''}NULL", []
        values = list(one.values)
        if one.how == "range" and one.column != "version":
            return f"{column} BETWEEN ? AND ?", [*values]
        if one.how == "range":
            sql = "SELECT DISTINCT version FROM {relation} WHERE version IS NOT NULL"
            held = [row[0] for row in self._engine.over_sums(("version",), sql, (), span)]
            held += dict.fromkeys(version for _, version in named)
            low, high = sorted(values, key=version_key)
            values = between(held, low, high)
        listed = f"IN ({', '.join('?' * len(values)) or 'NULL'})"
        if named and one.column == "version":
            return f"({column} {listed} OR {COLUMN} {listed})", [*values, *values]
        return f"{column} {listed}", [*values]

    def _refuse_not_kept(self, columns: Sequence[str]) -> None:
        """Raises `BadRequest` for a condition that rows of experiments cannot meet."""
        registry = self._engine.registry()
        kept = [c.name for c in lake_tables(registry)["experiment_aggregates"].columns]
        for name in columns:
            if name not in kept:
                names = [key.name for key in registry.keys if key.name in kept]
                raise BadRequest(
                    "not_kept_for_experiments",
                    f"{name} is not kept for rows of experiments.",
                    f"Together with an experiment these can be used: {', '.join(names)}.",
                )


_LISTS = ("list(place)", "list(value)", "list(per)")
_MOST_PIECES = 20_000
"""Courses of a day each, that are put together here: of more the database keeps the most used."""
_DAY = timedelta(days=1)
_DAY_US = 86_400_000_000
_WINDOW = timedelta(minutes=5)


def _day_at(number: int) -> date:
    return datetime.fromtimestamp(number * 86_400, UTC).date()


def _start_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _parts_of(
    day: date, lives: Sequence[Life]
) -> tuple[tuple[str | None, datetime, datetime, datetime], ...]:
    """What of each life lies on the day, and where its age counts from."""
    start = _start_of(day)
    cut = [(one.group, one.start, max(one.start, start), min(one.end, start + _DAY)) for one in lives]
    return tuple(one for one in cut if one[2] < one[3])


def _joined(
    rows: RowsOf, keys: Sequence[str], lives: Sequence[Life], since: datetime | None
) -> tuple[str, str, list[Parameter]]:
    """Where places count from, a join of each row with its life, and the values of its `?`."""
    if not lives:
        return str(_us(since)) if since else "0", "", []
    join = (
        "JOIN (SELECT unnest(?::VARCHAR[]) AS name, unnest(?::BIGINT[]) AS first_us, "
        f"unnest(?::BIGINT[]) AS end_us) AS s ON r.{rows.key(keys[0])} IS NOT DISTINCT FROM s.name "
        "AND epoch_us(r.window_start) >= s.first_us AND epoch_us(r.window_start) < s.end_us"
    )
    return (
        "s.first_us",
        join,
        [[one.group for one in lives], [_us(one.start) for one in lives], [_us(one.end) for one in lives]],
    )


def _without_doubles(course: Course) -> Course:
    """The course with one sum for each place: an interval that lies on two days has one of each."""
    if len(set(course.places)) == len(course.places):
        return course
    sums: dict[int, tuple[float | None, float | None]] = {}
    for place, value, per in zip(course.places, course.values, course.per, strict=True):
        if place in sums:
            value, per = add(sums[place][0], value), add(sums[place][1], per)
        sums[place] = (value, per)
    values, per_values = ([one[n] for one in sums.values()] for n in (0, 1))
    return msgspec.structs.replace(course, places=list(sums), values=values, per=per_values)


def _wholly(day: date, span: Span) -> bool:
    start = _start_of(day)
    return bool(span.first and span.last and span.first <= start and start + _DAY - _WINDOW <= span.last)


def _named(keys: Sequence[str]) -> list[str]:
    return [f"k{n}" for n in range(len(keys))]


def _columns(rows: RowsOf, measures: Sequence[str], keys: Sequence[str]) -> tuple[str, ...]:
    return rows.read((*keys, "window_start", *measures))


def _sums(
    rows: RowsOf,
    measures: Sequence[str],
    keys: Sequence[str],
    step: timedelta,
    zero: str,
    join: str,
    day: str = "",
) -> str:
    """SQL of one row for each place of each course, and of each `day` if that is given.

    `zero`: where places count from, in microseconds.
    """
    width_s = int(step.total_seconds())
    value, per = (f"CAST(sum(r.{dialect.name(name)}) AS DOUBLE)" for name in measures)
    place = f"(epoch_us(r.window_start) - {zero}) // {width_s * 1_000_000} * {width_s} AS place"
    select = [*(f"r.{rows.key(name)} AS k{n}" for n, name in enumerate(keys)), place]
    select += [f"{day} AS day"] if day else []
    by = [*_named(keys), "place", *(["day"] if day else [])]
    return (
        f"SELECT {', '.join(select)}, {value} AS value, "
        # Two decimals of a hundred hours, six of less: what is read and sent is short, and no rate changes by more
        # than a twenty-thousandth.
        f"round({per}, CASE WHEN abs({per}) >= 100 THEN 2 ELSE 6 END) AS per "
        f"FROM (FROM {rows.relation} WHERE {rows.within}) AS r {join} GROUP BY {', '.join(by)}"
    )


def _us(instant: datetime) -> int:
    return int(instant.timestamp()) * 1_000_000

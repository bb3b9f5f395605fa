-- Day totals as they follow from the observations alone. The words of the rules, once more, in another language than the
-- worker's: what the two agree on is not an accident of either.
--
-- {where} chooses observations; {starts} are the days on which the second and later maps begin; {based} the indicators that
-- need a base; {indicators} and {areas} are the catalogue as rows. All sums are of ticks, in 128 and 256 bits. What an older
-- catalogue accepted and this one has no place for (another frequency, an area not in the map, a breakdown that was
-- dropped) enters no total.
WITH
    latest AS  -- the highest version of each cell
    (
        SELECT
            indicator, bucket, breakdown, area, time_period,
            argMax((o.value, o.base, o.status), o.version) AS said,
            -- a figure that needs a base by now, and was stated without one, counts as not reported
            said.1 IS NOT NULL AND (said.2 IS NOT NULL OR indicator NOT IN {based}) AS valued,
            toInt64(CAST(ifNull(said.1, 0), 'Decimal(38, 4)') * 10000) AS ticks,
            toInt64(CAST(ifNull(said.2, 0), 'Decimal(38, 4)') * 10000) AS base,
            toUInt8(if(valued, position('IEPFBA', said.3), 7)) AS rank  -- the first of I E P F B A; 7 is M
        FROM observations AS o
        WHERE {where}
        GROUP BY indicator, bucket, breakdown, area, time_period
    ),
    over_time AS  -- one row per area that spoke in a line: a flow adds its slots, all else takes the last with a value
    (
        SELECT
            indicator, bucket, breakdown, area,
            multiIf(
                endsWith(time_period, '/PT1H'), 'hourly', endsWith(time_period, '/PT6H'), 'six_hourly',
                length(time_period) = 10, 'daily', length(time_period) = 4, 'annual',
                substring(time_period, 6, 1) = 'Q', 'quarterly', substring(time_period, 6, 1) = 'S', 'semiannual',
                'monthly'
            ) AS frequency,
            countIf(valued) AS cells,
            (sumIf(ticks, valued), sumIf(base, valued), min(rank)) AS added,
            argMaxIf((ticks, base, rank), time_period, valued) AS last
        FROM latest
        GROUP BY indicator, bucket, breakdown, area, frequency
    ),
    own AS
    (
        SELECT
            o.indicator AS indicator, o.bucket AS bucket, o.breakdown AS breakdown, o.area AS area,
            i.rollup AS rollup, i.by_province AS by_province, i.cumulative AS cumulative, i.dimensions AS dimensions,
            toUInt32(o.cells) AS cells,
            o.cells > 0 AS valued,
            toInt64(if(i.adds, o.added.1, o.last.1)) AS ticks,
            toInt64(if(i.adds, o.added.2, o.last.2)) AS base,
            toUInt8(if(valued, if(i.adds, o.added.3, o.last.3), 7)) AS rank,
            toUInt16(arrayCount(day -> day <= o.bucket, {starts})) AS map
        FROM over_time AS o
        INNER JOIN {indicators} AS i ON i.code = o.indicator
        WHERE has(i.breakdowns, o.breakdown) AND o.frequency = i.frequency
    ),
    spoken AS  -- what an area said counts for itself and, of a province, for its region and for VN
    (
        SELECT
            own.*,
            arrayJoin(
                if(own.area = 'VN', ['VN'], arrayFilter(name -> name != '', [toString(own.area), a.region, 'VN']))
            ) AS target,
            target = own.area AS itself
        FROM own
        INNER JOIN {areas} AS a ON a.map = own.map AND a.code = own.area
        WHERE a.level != 'region' AND (own.by_province OR own.area = 'VN')
    ),
    gathered AS
    (
        SELECT
            indicator, bucket, breakdown, target, map, rollup, by_province, cumulative, dimensions,
            countIf(itself) > 0 AS stated,
            countIf(itself AND valued) > 0 AS own_valued,
            sumIf(ticks, itself) AS own_ticks,
            sumIf(cells, itself) AS own_cells,
            minIf(rank, itself) AS own_rank,
            countIf(valued AND NOT itself) AS parts,
            sumIf(toInt128(ticks), valued AND NOT itself) AS part_ticks,
            sumIf(toInt256(ticks) * toInt256(base), valued AND NOT itself) AS part_products,
            sumIf(toInt256(base), valued AND NOT itself) AS part_bases,
            minIf(ticks, valued AND NOT itself) AS part_min,
            maxIf(ticks, valued AND NOT itself) AS part_max,
            sumIf(cells, NOT itself) AS part_cells,
            minIf(rank, valued AND NOT itself) AS part_rank
        FROM spoken
        GROUP BY indicator, bucket, breakdown, target, map, rollup, by_province, cumulative, dimensions
    ),
    rounded AS
    (
        SELECT
            g.*,
            a.level AS level,
            a.expected AS expected,
            multiIf(rollup = 'sum', toInt256(part_ticks), rollup = 'mean', toInt256(part_ticks), part_products) AS numerator,
            multiIf(rollup = 'sum', toInt256(1), rollup = 'mean', toInt256(parts), part_bases) AS weight,
            if(weight > 0, weight, toInt256(1)) AS denominator,
            intDiv(numerator, denominator) AS quotient,  -- towards zero; then one step away from it when half or more asks for it
            2 * abs(numerator - quotient * denominator) AS twice,
            toInt64(
                quotient + if(
                    twice > denominator OR (twice = denominator AND quotient % 2 != 0),
                    if(numerator < 0, toInt256(-1), toInt256(1)),
                    toInt256(0)
                )
            ) AS rolled,
            a.level = 'province' OR NOT by_province AS alone,  -- nothing rolls up into this row
            rollup != 'none' AND NOT alone AND NOT (target = 'VN' AND own_valued) AS rolls
        FROM gathered AS g
        INNER JOIN {areas} AS a ON a.map = g.map AND a.code = g.target
        WHERE rollup != 'none' OR stated
    ),
    written AS
    (
        SELECT
            indicator, bucket, breakdown, target AS area, cumulative, dimensions, rollup,
            multiIf(rolls AND parts > 0, toNullable(rolled), NOT rolls AND own_valued, own_ticks, NULL) AS value,
            multiIf(rolls AND parts > 0, toNullable(part_min), alone AND own_valued, own_ticks, NULL) AS least,
            multiIf(rolls AND parts > 0, toNullable(part_max), alone AND own_valued, own_ticks, NULL) AS most,
            toUInt32(if(alone, own_valued, parts)) AS areas_reported,
            toUInt32(if(alone, 1, expected)) AS areas_expected,
            toUInt32(if(rolls, part_cells, own_cells)) AS cells,
            multiIf(rolls AND parts > 0, part_rank, NOT rolls AND own_valued, own_rank, 7) AS rank,
            by_province AND target = 'VN' AND own_valued AND parts = expected AND toInt128(own_ticks) != part_ticks AS contradicted
        FROM rounded
    ),
    buckets AS  -- an indicator's lines of one bucket side by side, for the flags of its _T line
    (
        SELECT
            indicator, bucket, any(cumulative) AS runs, any(rollup) AS rolled_by, any(dimensions) AS dimensions_of,
            groupArray((breakdown, area, value, least, most, areas_reported, areas_expected, cells, rank)) AS totals,
            groupArrayIf(toString(breakdown), area = 'VN' AND value IS NOT NULL) AS lines,
            groupArrayIf(assumeNotNull(value), area = 'VN' AND value IS NOT NULL) AS figures,
            maxIf(contradicted, breakdown = '_T') AS contradicted_total,
            if(has(lines, '_T'), toNullable(figures[indexOf(lines, '_T')]), NULL) AS total
        FROM written
        GROUP BY indicator, bucket
    ),
    judged AS
    (
        SELECT
            indicator, bucket, totals,
            contradicted_total OR (total IS NOT NULL AND arrayExists(
                codes -> arrayAll(code -> has(lines, code), codes)
                    AND arraySum(arrayMap(code -> figures[indexOf(lines, code)], codes)) != assumeNotNull(total),
                dimensions_of
            )) AS mismatched,
            last_value(total) IGNORE NULLS OVER (
                PARTITION BY indicator, toYear(bucket) ORDER BY bucket ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS before,
            runs AND ifNull(total < before, 0) AS fallen,
            if(
                rolled_by = 'sum',
                arrayConcat(if(mismatched, ['SUM_MISMATCH'], []), if(fallen, ['NOT_MONOTONE'], [])),
                []
            ) AS flags_of_total
        FROM buckets
    )
SELECT
    bucket,
    indicator,
    row.2 AS area,
    row.1 AS breakdown,
    CAST(CAST(row.3, 'Nullable(Decimal(38, 4))') / 10000, 'Nullable(Decimal(18, 4))') AS value,
    CAST(CAST(row.4, 'Nullable(Decimal(38, 4))') / 10000, 'Nullable(Decimal(18, 4))') AS min,
    CAST(CAST(row.5, 'Nullable(Decimal(38, 4))') / 10000, 'Nullable(Decimal(18, 4))') AS max,
    row.6 AS areas_reported,
    row.7 AS areas_expected,
    row.8 AS cells,
    ['I', 'E', 'P', 'F', 'B', 'A', 'M'][row.9] AS status,
    if(row.1 = '_T', flags_of_total, []) AS flags
FROM judged
ARRAY JOIN totals AS row
WHERE {kept}

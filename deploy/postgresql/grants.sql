-- As the owner of the database, after `missioncontrol doctor` made or changed the tables, so after each upgrade:
--   psql -v ON_ERROR_STOP=1 -f grants.sql missioncontrol
-- What is not granted here is taken away, so that it can be run again and again.
BEGIN;
REVOKE ALL ON ALL TABLES IN SCHEMA public
    FROM missioncontrol_edge, missioncontrol_stream, missioncontrol_crashes, missioncontrol_jobs, missioncontrol_web;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public
    FROM missioncontrol_edge, missioncontrol_stream, missioncontrol_crashes, missioncontrol_jobs, missioncontrol_web;
GRANT USAGE ON SCHEMA public
    TO missioncontrol_edge, missioncontrol_stream, missioncontrol_crashes, missioncontrol_jobs, missioncontrol_web;
GRANT SELECT ON alembic_version
    TO missioncontrol_edge, missioncontrol_stream, missioncontrol_crashes, missioncontrol_jobs, missioncontrol_web;

-- Edge: knows resent reports, puts crashes into the queue, looks up tokens of those who send.
GRANT SELECT, INSERT, UPDATE ON crash_uploads, crash_queue TO missioncontrol_edge;
GRANT SELECT ON crash_deletions, users TO missioncontrol_edge;
GRANT SELECT, UPDATE ON tokens TO missioncontrol_edge;

-- Stream: its turn, and which documents are known.
GRANT SELECT, INSERT, UPDATE, DELETE ON leases, identities TO missioncontrol_stream;

-- Crash workers: the queue, and the hours that are to be counted again.
GRANT SELECT, INSERT, UPDATE, DELETE ON crash_queue, crash_recounts TO missioncontrol_crashes;
GRANT SELECT ON crash_deletions, crash_days_gone, releases, release_statuses, symbol_changes TO missioncontrol_crashes;

-- Jobs: all but who may sign in, and what people keep for themselves.
GRANT SELECT, INSERT, UPDATE, DELETE ON
    leases, runs, built_days, releases, release_statuses, identities,
    crash_uploads, crash_queue, crash_recounts, crash_deletions, crash_days_gone,
    alert_channels, alert_rules, alert_events, alert_tellings, alert_deliveries
    TO missioncontrol_jobs;
GRANT SELECT, DELETE ON access_log TO missioncontrol_jobs;
GRANT SELECT ON symbol_changes, annotations TO missioncontrol_jobs;

-- Web: people and what they do; of the machinery it reads.
GRANT SELECT, INSERT, UPDATE, DELETE ON
    users, tokens, sessions, sign_ins, saved_queries, query_history, annotations, signature_bugs, symbol_changes,
    releases, release_statuses, runs, crash_queue, alert_channels, alert_rules, alert_tellings, alert_deliveries
    TO missioncontrol_web;
GRANT SELECT, INSERT ON access_log TO missioncontrol_web;
GRANT SELECT ON
    leases, built_days, crash_uploads, crash_recounts, crash_deletions, crash_days_gone, alert_events
    TO missioncontrol_web;

GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO missioncontrol_jobs, missioncontrol_web;
COMMIT;

-- As the administrator of the server, once: the database, its owner, and a role for each process.
--   psql -v ON_ERROR_STOP=1 -f roles.sql
-- Nobody has a password yet, so nobody signs in: \password missioncontrol_edge, and so on.
-- Then the tables, as the owner (missioncontrol doctor), and grants.sql.
CREATE ROLE missioncontrol LOGIN;
CREATE ROLE missioncontrol_edge LOGIN CONNECTION LIMIT 60;
CREATE ROLE missioncontrol_stream LOGIN CONNECTION LIMIT 60;
CREATE ROLE missioncontrol_crashes LOGIN CONNECTION LIMIT 200;
CREATE ROLE missioncontrol_jobs LOGIN CONNECTION LIMIT 60;
CREATE ROLE missioncontrol_web LOGIN CONNECTION LIMIT 100;
CREATE DATABASE missioncontrol OWNER missioncontrol ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE missioncontrol FROM PUBLIC;
GRANT CONNECT ON DATABASE missioncontrol
    TO missioncontrol_edge, missioncontrol_stream, missioncontrol_crashes, missioncontrol_jobs, missioncontrol_web;

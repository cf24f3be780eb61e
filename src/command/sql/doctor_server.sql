-- What the server says of itself, in one row. Needs no rights.
SELECT pg_is_in_recovery() AS standby,
       current_setting('server_encoding') AS encoding,
       inet_server_addr() IS NULL OR inet_server_addr() <<= inet '127.0.0.0/8'
           OR inet_server_addr() = inet '::1' AS local,
       (SELECT string_agg(name, ', ') FROM pg_available_extensions
        WHERE name = 'timescaledb') IS NOT NULL AS timescaledb_available,
       current_setting('max_connections')::int8 AS max_connections,
       current_setting('superuser_reserved_connections')::int8
           + coalesce(current_setting('reserved_connections', true)::int8, 0) AS reserved,
       (SELECT coalesce(sum(numbackends), 0)::int8 FROM pg_stat_database) AS used,
       (SELECT coalesce(numbackends, 0)::int8 FROM pg_stat_database
        WHERE datname = current_database()) AS used_database,
       (SELECT datconnlimit::int8 FROM pg_database WHERE datname = current_database())
           AS database_limit,
       (SELECT rolconnlimit::int8 FROM pg_roles WHERE rolname = current_user) AS role_limit,
       (SELECT failed_count > 0 AND last_failed_time > coalesce(last_archived_time, '-infinity')
        FROM pg_stat_archiver) AS archiver_fails,
       (SELECT count(*) FROM pg_replication_slots WHERE NOT active) AS idle_slots,
       (SELECT string_agg(slot_name::text, ', ' ORDER BY slot_name)
        FROM pg_replication_slots WHERE NOT active) AS idle_slot_names

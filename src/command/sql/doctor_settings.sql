-- The settings that a load depends on, as this session has them. Sizes and times come in units.
SELECT name, setting, unit, source, pending_restart
FROM pg_settings
WHERE name IN (
    'archive_mode', 'autovacuum', 'checkpoint_timeout', 'data_directory',
    'default_transaction_isolation', 'default_transaction_read_only', 'fsync',
    'full_page_writes', 'idle_in_transaction_session_timeout', 'idle_session_timeout',
    'max_wal_size', 'shared_buffers', 'statement_timeout', 'synchronous_commit', 'TimeZone',
    'transaction_timeout', 'wal_level')

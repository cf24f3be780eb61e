-- What this role may do in this database.
SELECT current_user::text AS role, quote_ident(current_user) AS role_name,
       quote_ident(current_database()) AS database_name,
       has_database_privilege(current_database(), 'CREATE') AS may_create_schema,
       has_database_privilege(current_database(), 'TEMP') AS may_make_temporary,
       to_regnamespace('tidegate') IS NOT NULL AS has_tidegate,
       coalesce(has_schema_privilege(to_regnamespace('tidegate')::oid, 'USAGE, CREATE')
                AND has_schema_privilege(to_regnamespace('tidegate')::oid, 'USAGE')
                AND has_schema_privilege(to_regnamespace('tidegate')::oid, 'CREATE'), false)
           AS may_use_tidegate,
       coalesce(has_schema_privilege(to_regnamespace('public')::oid, 'CREATE'), false)
           AS may_create_in_public

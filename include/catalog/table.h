/*
 * A table and everything that hangs on it, as the catalogs describe it, read in one snapshot.
 *
 * All texts come from the server with an empty search_path: expressions and definitions are qualified. Names
 * are kept unquoted; whoever writes SQL quotes them (core/buffer.h). The struct owns all it points to.
 */
#ifndef PGRECAST_CATALOG_TABLE_H
#define PGRECAST_CATALOG_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "core/list.h"
#include "pg/pipeline.h"
#include "pg/session.h"

typedef uint32_t oid_t;

/* Privileges of one grantee, as written down in the catalogs. */
struct grant {
    char *grantee;        /* quoted, or PUBLIC */
    char *privileges;     /* "INSERT, SELECT" */
    bool grantable;       /* WITH GRANT OPTION */
    char *grantor;        /* quoted; somebody else than the owner, who has a grant option; NULL: the owner */
    bool grantor_is_ours; /* the session's role may act for him */
};

struct grant_list {
    int count;
    struct grant *items; /* those by the owner first, of them his own */
};

/* A column may own several: the next ones follow in .next, that of an identity column comes first. */
struct owned_sequence {
    oid_t oid;
    char *schema;
    char *name;
    char *quoted_name; /* as the server writes it: in quotes only where it needs them */
    bool identity;     /* the hidden sequence of an identity column; otherwise OWNED BY (serial) */
    char *type;        /* smallint, integer, bigint */
    char *options; /* "START WITH 1 INCREMENT BY 1 …": what CREATE SEQUENCE takes but the type and OWNED BY */
    char *comment;            /* or NULL */
    char *acl;                /* aclitem[] as text, or NULL for the default */
    struct grant_list grants; /* of acl */
    bool unlogged;
    bool used_elsewhere; /* by something else than the default of its column */
    struct owned_sequence *next;
};

struct column {
    int attnum;
    char *name;
    oid_t type_oid;
    oid_t base_type_oid; /* of a domain, followed to the end; else type_oid */
    char *type;          /* format_type with typmod, qualified */
    char *base_type; /* the same of the base type of a domain (typmod of the domain applied), else = type */
    char *collation; /* qualified and quoted, where it is not the type's own; else NULL */
    bool not_null;
    char *not_null_name;   /* PostgreSQL 18: the constraint's name; else NULL */
    bool not_null_invalid; /* PostgreSQL 18: NOT VALID */
    bool not_null_no_inherit;
    char *not_null_comment;
    char *default_expr; /* pg_get_expr, or NULL; for a generated column its expression */
    char generated;     /* '\0', 's' stored, 'v' virtual */
    int generated_from_count;
    int *generated_from;      /* attnums that the expression of a generated column reads */
    char identity;            /* '\0', 'a' always, 'd' by default */
    char *missing;            /* the constant that old rows read (attmissingval's element as text), or NULL */
    char storage;             /* p e m x */
    char type_storage;        /* the type's own default */
    char compression;         /* '\0' default, 'p', 'l' */
    int statistics;           /* -1: default */
    char *options;            /* attoptions as "n_distinct=5, …", or NULL */
    char *comment;            /* or NULL */
    char *acl;                /* or NULL */
    struct grant_list grants; /* of acl */
    struct owned_sequence *sequence; /* identity or owned, or NULL */
    char typtype;                    /* of the base type: b c d e r m p */
    oid_t element_type_oid;          /* of an array, else 0 */
    char element_typtype;
    bool toastable; /* the type may be stored out of line (attlen = -1, storage not plain) */
};

struct constraint {
    oid_t oid;
    char *name;
    char type;        /* c check, p primary key, u unique, x exclusion (n, not null, is in the column) */
    char *definition; /* pg_get_constraintdef */
    bool validated;
    oid_t index_oid; /* 0 for a check */
    bool deferrable;
    bool deferred;
    bool temporal; /* PostgreSQL 18: WITHOUT OVERLAPS */
    char *comment;
};

struct index_column_statistics {
    int column; /* from 1 */
    int target;
};

/* How an index compares one column of its key. */
struct index_key {
    char *equals;    /* "OPERATOR(pg_catalog.=)", or NULL where the access method has no such */
    char *opclass;   /* qualified and quoted */
    char *collation; /* likewise, or NULL */
};

struct index {
    oid_t oid;
    char *name;
    char *definition; /* pg_get_indexdef after the "ON schema.table ": "USING btree (a) INCLUDE (b) …" */
    bool unique;
    bool primary;
    bool valid;
    bool replica_identity;
    bool clustered;
    char *tablespace;       /* or NULL: the default */
    oid_t constraint_oid;   /* 0 where it stands alone */
    int key_count;          /* columns of the key, without INCLUDE */
    int *key_attnums;       /* 0 for an expression */
    struct index_key *keys; /* key_count of them */
    bool partial;
    char *predicate; /* of a partial index: the definition ends with " WHERE predicate" */
    bool immediate;  /* indimmediate: not deferrable */
    bool nulls_not_distinct;
    int64_t bytes; /* pg_relation_size */
    char *comment;
    int statistics_count; /* per-column targets (ALTER INDEX … ALTER COLUMN n SET STATISTICS) */
    struct index_column_statistics *statistics;
};

struct extended_statistics {
    oid_t oid;
    char *schema;
    char *name;
    char *definition; /* the text between the name and FROM: "(ndistinct) ON a, b" */
    int target;       /* -1: default */
    char *comment;
    char *owner;
};

/*
 * What hangs on the table and is none of the above: a view, a trigger, a function over its row type … Its
 * statements are by name, so that they are about whatever table has the name then.
 */
struct dependent {
    oid_t class_oid; /* its place in pg_depend; 0: there for information, or as a reason to refuse */
    oid_t oid;
    char *kind;        /* "view", "trigger", "policy", "publication", … */
    char *description; /* pg_describe_object, or a like text */
    char *reason;      /* why it is not carried over, a clause; NULL: no objection */
    char *schema;      /* of a view or function, quoted where it has to be, like … */
    char *name;        /* … its name */
    int base_count;
    int *bases;       /* positions in table.dependents of what it hangs on beside the table … */
    bool direct;      /* … and whether it hangs on the table itself */
    bool replaceable; /* CREATE OR REPLACE turns it to the new table, as long as what it gives keeps its types
                       */
    char *columns;    /* of a view: "name type, …", to see whether that is so */
    struct string_list lock;      /* what to run first, so that nobody uses it meanwhile */
    struct string_list detach;    /* takes it away … */
    struct string_list attach;    /* … and makes it again as it is now … */
    struct string_list replace;   /* … or does both at once */
    struct string_list obstacles; /* why it cannot be made again, clauses */
    struct string_list holder;    /* of one on another table or view: that one's oid, schema, name */
    char *fate;                   /* what becomes of it, for people; the plan's to say */
};

struct foreign_key {
    oid_t oid;
    char *name;
    oid_t on_oid; /* the referencing table … */
    char *on_name;
    char *columns;
    oid_t ref_oid; /* … and the referenced one; names are qualified, and quoted where they have to be */
    char *ref_name;
    char *ref_columns;
    char *options; /* "ON DELETE CASCADE DEFERRABLE …", never NOT VALID */
    bool validated;
    char on_kind; /* pg_class.relkind of the referencing table */
    char *comment;
    char *description;
    char *reason;    /* as above */
    char *lock;      /* of the other table; NULL where that is this one too, or the role may not lock it */
    oid_t other_oid; /* of the other table; 0: both are this one */
    /* Of a partitioned referencing table, on servers that do not take it there NOT VALID: it and the name of
     * the constraint on each partition that holds rows, as SQL, one after the other. */
    struct string_list leaves;
};

struct table {
    oid_t oid;
    oid_t relfilenode;
    char *schema;
    char *name;
    char relkind;     /* pg_class.relkind: r p f v m … */
    char persistence; /* p u t */
    char *owner;
    bool owner_is_ours; /* the session's role is the owner or a member of it */
    char *session_role;
    bool owner_is_session;     /* the owner is the session's role itself */
    bool owner_may_be_given;   /* ALTER … OWNER TO the owner will do: he may create in the schema */
    bool may_create_in_schema; /* the session's role may */
    char *tablespace;          /* or NULL: the database's default */
    char *database_tablespace; /* the database's default */
    char *access_method;
    char *options;         /* "fillfactor=70, …", or NULL */
    char *toast_options;   /* "toast.autovacuum_enabled=false, …", or NULL */
    char replica_identity; /* d n f i */
    char *comment;
    char *acl;                /* aclitem[] as text, or NULL for the default */
    struct grant_list grants; /* of acl */
    struct grant_list
        default_privileges; /* what ALTER DEFAULT PRIVILEGES adds to new tables and sequences here */
    bool is_partition;
    bool is_system; /* in pg_catalog, information_schema or a temporary schema */
    bool row_security;
    bool force_row_security;
    bool row_security_active; /* for the session's role: it does not see all rows */
    bool has_toast;
    int64_t bytes; /* pg_table_size: heap and TOAST */
    int64_t heap_bytes;
    int64_t estimated_rows; /* reltuples, -1 unknown */

    int column_count;
    struct column *columns; /* in order, dropped ones left out */
    int constraint_count;
    struct constraint *constraints;
    int index_count;
    struct index *indexes;
    int statistics_count;
    struct extended_statistics *statistics;
    int foreign_key_count;
    struct foreign_key *foreign_keys; /* of the table, and those that point at it */
    int dependent_count;
    struct dependent *dependents;

    /* Of everything above that DDL can change (not sizes): two hashes with a dot between them, see below. */
    char *fingerprint;
};

/*
 * Read the table in the session's open transaction, or in a REPEATABLE READ one of its own when none is open.
 * Returns NULL with ERROR_REFUSED when there is no such table; other relkinds are described as far as it goes
 * and left to the planner to refuse.
 */
struct table *table_read(struct session *s, const char *schema, const char *name, struct error *err);

/* Resolve a possibly unqualified name as the user's search_path does; schema and name are for the caller to
 * free. */
bool table_resolve(struct session *s, const char *schema, const char *name, char **out_schema,
                   char **out_name, oid_t *oid, struct error *err);

/* Only the fingerprint. NULL on an error. */
char *table_fingerprint(struct session *s, oid_t oid, struct error *err);

/*
 * The same for a session that asks under a lock, among other things: its planning takes ten times what its
 * execution does. The result is one row, one column.
 */
bool table_fingerprint_prepare(struct session *s, struct error *err);
void table_fingerprint_add(struct pipeline *p, oid_t oid);

/* The same definition. indexes: false where indexes that are no constraints may be others by now. */
bool table_fingerprint_same(const char *a, const char *b, bool indexes);

struct table *table_copy(const struct table *from); /* all of it, to be freed by itself */
void table_free(struct table *t);                   /* NULL-safe */

const struct column *table_column(const struct table *t, int attnum); /* NULL where there is none */
const struct column *table_column_named(const struct table *t, const char *name);

/*
 * The index that identifies a row in the change stream (REPLICA IDENTITY): the primary key or the index
 * chosen. NULL where there is none, or it is FULL or NOTHING.
 */
const struct index *table_key(const struct table *t);

#endif

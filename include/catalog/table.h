/*
 * A table and everything that depends on it, as the catalogs describe it, read in one snapshot.
 *
 * All texts come from the server with an empty search_path, so expressions and definitions are qualified.
 * Names are stored unquoted; code that writes SQL quotes them (core/buffer.h). The struct owns everything
 * that it points to.
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

/* Privileges of one grantee, as stored in the catalogs. */
struct grant {
    char *grantee;        /* quoted, or PUBLIC */
    char *privileges;     /* "INSERT, SELECT" */
    bool grantable;       /* WITH GRANT OPTION */
    char *grantor;        /* quoted; somebody other than the owner, who has a grant option; NULL: the owner */
    bool grantor_is_ours; /* the session's role may act for the grantor */
};

struct grant_list {
    int count;
    struct grant *items; /* those that the owner granted come first, and of these the ones to himself */
};

/* A column may own several sequences: the others follow in .next; that of an identity column comes first. */
struct owned_sequence {
    oid_t oid;
    char *schema;
    char *name;
    char *quoted_name; /* as the server writes it: in quotes only if it needs them */
    bool identity;     /* the hidden sequence of an identity column; otherwise OWNED BY (serial) */
    char *type;        /* smallint, integer, bigint */
    /* "START WITH 1 INCREMENT BY 1 …": what CREATE SEQUENCE accepts, without the type and OWNED BY */
    char *options;
    char *comment;            /* or NULL */
    char *acl;                /* aclitem[] as text, or NULL for the default */
    struct grant_list grants; /* of acl */
    bool unlogged;
    bool used_elsewhere; /* by something other than the default of its column */
    struct owned_sequence *next;
};

struct column {
    int attnum;
    char *name;
    oid_t type_oid;
    oid_t base_type_oid; /* of a domain, followed to the end; else type_oid */
    char *type;          /* format_type with typmod, qualified */
    char *base_type; /* the same for the base type of a domain (with the typmod of the domain), else = type */
    char *collation; /* qualified and quoted, if it is not the default of the type; else NULL */
    /* likewise, if it is not the default of the base type: that of a domain, for example */
    char *base_collation;
    bool nondeterministic; /* the collation takes values that differ in bytes for equal */
    /*
     * the type is, or contains, a domain with a constraint that is NOT VALID: the table may hold values that
     * the server would not accept now
     */
    bool unvalidated;
    bool not_null;
    char *not_null_name;   /* PostgreSQL 18: the constraint's name; else NULL */
    bool not_null_invalid; /* PostgreSQL 18: NOT VALID */
    bool not_null_no_inherit;
    char *not_null_comment;
    char *default_expr; /* pg_get_expr, or NULL; for a generated column its expression */
    char generated;     /* '\0', 's' stored, 'v' virtual */
    int generated_from_count;
    int *generated_from; /* attnums that the expression of a generated column reads */
    char identity;       /* '\0', 'a' always, 'd' by default */
    /* the value that rows older than the column have in it (attmissingval's element as text), or NULL */
    char *missing;
    char storage;                    /* p e m x */
    char type_storage;               /* the type's own default */
    char compression;                /* '\0' default, 'p', 'l' */
    int statistics;                  /* -1: default */
    char *options;                   /* attoptions as "n_distinct=5, …", or NULL */
    char *comment;                   /* or NULL */
    char *acl;                       /* or NULL */
    struct grant_list grants;        /* of acl */
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
    char *equals;    /* "OPERATOR(pg_catalog.=)", or NULL if the access method has no equality */
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
    oid_t constraint_oid;   /* 0 if the index belongs to no constraint */
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
    char *definition;      /* the text between the name and FROM: "(ndistinct) ON a, b" */
    int target;            /* -1: default */
    bool owner_may_be_set; /* ALTER STATISTICS … OWNER TO the owner succeeds */
    char *comment;
    char *owner;
};

/*
 * An object that depends on the table and is none of the above: a view, a trigger, a function over its row
 * type … Its statements refer to the table by name, so they apply to whatever table has the name at the time.
 */
struct dependent {
    oid_t class_oid; /* its place in pg_depend; 0: this entry is only information, or a reason to refuse */
    oid_t oid;
    char *kind;        /* "view", "trigger", "policy", "publication", … */
    char *description; /* pg_describe_object, or a similar text */
    char *reason;      /* why it is not carried over, a clause; NULL: it is carried over */
    char *schema;      /* of a view or function, quoted if necessary, as is … */
    char *name;        /* … its name */
    int base_count;
    int *bases;       /* positions in table.dependents of the other objects that it depends on … */
    bool direct;      /* … and whether it depends on the table itself */
    bool replaceable; /* CREATE OR REPLACE redirects it to the new table, if its result keeps its types */
    char *columns;    /* of a view: "name type, …", to see whether they stay the same */
    /* of a function: the server stores its body by the objects that it uses, not as a text */
    bool parsed_body;
    struct string_list lock;      /* statements to run first, so that nobody uses it meanwhile */
    struct string_list detach;    /* statements that drop it … */
    struct string_list attach;    /* … and that create it again as it is now … */
    struct string_list replace;   /* … or that do both at once */
    struct string_list obstacles; /* why it cannot be created again, clauses */
    /* if it belongs to another table or view: that relation's oid, schema, name */
    struct string_list holder;
    /* of a materialized view: kind, schema and name of each of its indexes and extended statistics */
    struct string_list pieces;
    bool filled;    /* a materialized view that is populated */
    bool whole_row; /* a view whose query uses a row as a whole */
    char *size;     /* of a materialized view without its indexes, for people; NULL: not known */
    char *owner;    /* of a view or function, as it is written in SQL */
    /* of a view: why it cannot be created over the new table before the swap, a clause, or NULL */
    char *not_early;
    char *fate; /* what is done with it, for people; the plan sets it */
};

struct foreign_key {
    oid_t oid;
    char *name;
    oid_t on_oid; /* the referencing table … */
    char *on_name;
    char *columns;
    oid_t ref_oid; /* … and the referenced one; names are qualified, and quoted if necessary */
    char *ref_name;
    char *ref_columns;
    /* new, to another table of the job: .ref_columns are the names that its columns have after the job */
    bool ref_renamed;
    char *options; /* "ON DELETE CASCADE DEFERRABLE …", never NOT VALID */
    bool validated;
    char on_kind; /* pg_class.relkind of the referencing table */
    char *comment;
    char *description;
    char *reason;    /* as in struct dependent */
    char *lock;      /* of the other table; NULL if that is this table too, or the role may not lock it */
    oid_t other_oid; /* of the other table; 0: both are this table */
    /*
     * Only of a partitioned referencing table, on servers that do not accept the key there NOT VALID: the
     * table's name, and the name of the constraint on each partition that holds rows, as SQL, one after the
     * other.
     */
    struct string_list leaves;
};

/* A partition of a partitioned table, on any level. */
struct partition {
    char *name;          /* in the schema of the table */
    char *parent;        /* name of the partition that it is a partition of; NULL: the table itself */
    char *bounds;        /* "FOR VALUES FROM (…) TO (…)", "DEFAULT" */
    char *partition_key; /* if it is partitioned itself: "LIST (a)"; else NULL */
};

struct table {
    oid_t oid;
    oid_t relfilenode;
    char *schema;
    char *name;
    char relkind;     /* pg_class.relkind: r p f v m … */
    char persistence; /* p u t */
    char *owner;
    bool owner_is_ours; /* the session's role is the owner or a member of the owner */
    char *session_role;
    bool owner_is_session; /* the owner is the session's role itself */
    /* ALTER … OWNER TO the owner succeeds if the session's role may SET ROLE to it, and it may create in the schema */
    bool owner_may_be_set;
    bool owner_may_create;
    bool may_create_in_schema; /* the session's role may create in the schema */
    char *tablespace;          /* or NULL: the database's default */
    char *database_tablespace; /* the database's default */
    char *access_method;
    char *options;          /* "fillfactor='70', …" without autovacuum_enabled, or NULL */
    char *toast_options;    /* "toast.autovacuum_vacuum_threshold='9', …", likewise */
    char *autovacuum;       /* "autovacuum_enabled='false'", or NULL */
    char *toast_autovacuum; /* "toast.autovacuum_enabled='false'", or NULL */
    char replica_identity;  /* d n f i */
    char *comment;
    char *acl;                /* aclitem[] as text, or NULL for the default */
    struct grant_list grants; /* of acl */
    struct grant_list
        default_privileges; /* what ALTER DEFAULT PRIVILEGES adds to new tables and sequences here … */
    struct grant_list
        sequence_privileges; /* … and to a sequence that ALTER TABLE creates for the owner of the table */
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

    /* Of a partitioned table: "RANGE (a)", and all its partitions, each after its parent. */
    char *partition_key; /* NULL: it is not partitioned */
    int partition_count;
    struct partition *partitions;

    /*
     * The search_path with which the texts of its own expressions are read again (catalog/expressions.h);
     * NULL: an empty one.
     */
    char *search_path;

    /* Of everything above that DDL can change (not sizes): two hashes with a dot between them, see below. */
    char *fingerprint;
};

/*
 * Read the table in the session's open transaction, or, if none is open, in a REPEATABLE READ transaction of
 * its own. Returns NULL with ERROR_REFUSED if there is no such table. Other relkinds are described as far as
 * possible; the planner refuses them.
 */
struct table *table_read(struct session *s, const char *schema, const char *name, struct error *err);

/* Resolve a possibly unqualified name as the user's search_path does. The caller frees schema and name. */
bool table_resolve(struct session *s, const char *schema, const char *name, char **out_schema,
                   char **out_name, oid_t *oid, struct error *err);

/*
 * The statements of t's dependents, of which oid and class are known, and t's own oid: .lock, .detach, .attach and so on. Part of
 * table_read().
 */
bool dependents_read_statements(struct session *s, struct table *t, struct error *err);

/* Only the fingerprint. NULL on an error. */
char *table_fingerprint(struct session *s, oid_t oid, struct error *err);

/*
 * The definition of a table and of everything that depends on it, as JSON {object: {property: value}}, and
 * its fingerprint. own: what the job itself has made and is left out, as an array of "kind oid"; "{}":
 * nothing.
 */
struct table_definition {
    char *fingerprint;
    char *text;
};
bool table_definition_read(struct session *s, oid_t oid, const char *own, struct table_definition *out,
                           struct error *err);
void table_definition_clear(struct table_definition *d);

/*
 * The versions of the catalogs' rows that the definitions of the tables with these oids ("{1,2}") are read
 * from, as rows of oid and versions. While they are the same, so is the definition. One statement for all
 * tables, and little work. It can also be used under a lock by a session that does other work: planning it
 * takes ten times as long as executing it, so it is prepared.
 */
bool table_versions_read(struct session *s, const char *oids, struct result *out, struct error *err);
bool table_versions_prepare(struct session *s, struct error *err);
void table_versions_add(struct pipeline *p, const char *oids);

/* Whether the definitions are the same. indexes: false if indexes that belong to no constraint may differ. */
bool table_fingerprint_same(const char *a, const char *b, bool indexes);

struct table *table_copy(const struct table *from); /* a full copy, to be freed separately */
void table_free(struct table *t);                   /* NULL-safe */

/* Replaces what is in the list. */
void grant_list_copy(struct grant_list *to, const struct grant_list *from);

const struct column *table_column(const struct table *t, int attnum); /* NULL if there is none */
const struct column *table_column_named(const struct table *t, const char *name);
const struct index *table_index_named(const struct table *t, const char *name); /* NULL if there is none */

/*
 * Whether the index belongs to a constraint WITHOUT OVERLAPS (18). Its keys count as equal if they overlap.
 */
bool index_is_temporal(const struct table *t, const struct index *x);

/* A unique index by which every row can be found: immediate, not partial, on columns that are NOT NULL. */
bool index_may_identify(const struct table *t, const struct index *x);

/*
 * The index by which rows are found in the change stream, according to REPLICA IDENTITY: the primary key, or
 * the chosen index, or with FULL any index that can identify rows. NULL if there is none, or the identity is
 * NOTHING.
 */
const struct index *table_key(const struct table *t);

/*
 * "ONLY ", for what reads or locks the rows of the table itself. A partitioned table has its rows in its
 * partitions, so it is "".
 */
const char *table_only(const struct table *t);

/* Whether it holds rows: it is not partitioned itself. */
bool partition_holds_rows(const struct partition *p);

/*
 * Whether a publication of the user's covers every new table of the schema: FOR ALL TABLES, or IN SCHEMA. The
 * replica identity of the shadow is then the key's index, from when that is built until the shadow is complete.
 */
bool table_has_general_publication(const struct table *t);

#endif

#include "catalog/fields.h"

#include "catalog/table.h"

FIELDS_COMPLETE(grant_list, 16); /* see FIELD_LIST_STRUCT */

static const struct field grant_fields[] = {
    FIELD(struct grant, grantee), FIELD(struct grant, privileges),      FIELD(struct grant, grantable),
    FIELD(struct grant, grantor), FIELD(struct grant, grantor_is_ours),
};
static SHAPE(grant, 40);

static const struct field owned_sequence_fields[] = {
    FIELD(struct owned_sequence, oid),      FIELD(struct owned_sequence, schema),
    FIELD(struct owned_sequence, name),     FIELD(struct owned_sequence, quoted_name),
    FIELD(struct owned_sequence, identity), FIELD(struct owned_sequence, type),
    FIELD(struct owned_sequence, options),  FIELD(struct owned_sequence, comment),
    FIELD(struct owned_sequence, acl),      FIELD_LIST_STRUCT(struct owned_sequence, grants, &grant_shape),
    FIELD(struct owned_sequence, unlogged), FIELD(struct owned_sequence, used_elsewhere),
};
static SHAPE(owned_sequence, 104);

static const struct field column_fields[] = {
    FIELD(struct column, attnum),
    FIELD(struct column, name),
    FIELD(struct column, type_oid),
    FIELD(struct column, base_type_oid),
    FIELD(struct column, type),
    FIELD(struct column, base_type),
    FIELD(struct column, collation),
    FIELD(struct column, base_collation),
    FIELD(struct column, nondeterministic),
    FIELD(struct column, unvalidated),
    FIELD(struct column, not_null),
    FIELD(struct column, not_null_name),
    FIELD(struct column, not_null_invalid),
    FIELD(struct column, not_null_no_inherit),
    FIELD(struct column, not_null_comment),
    FIELD(struct column, default_expr),
    FIELD(struct column, generated),
    FIELD_LIST(struct column, generated_from, generated_from_count, NULL),
    FIELD(struct column, identity),
    FIELD(struct column, missing),
    FIELD(struct column, storage),
    FIELD(struct column, type_storage),
    FIELD(struct column, compression),
    FIELD(struct column, statistics),
    FIELD(struct column, options),
    FIELD(struct column, comment),
    FIELD(struct column, acl),
    FIELD_LIST_STRUCT(struct column, grants, &grant_shape),
    FIELD_CHAIN(struct column, sequence, next, &owned_sequence_shape),
    FIELD(struct column, typtype),
    FIELD(struct column, element_type_oid),
    FIELD(struct column, element_typtype),
    FIELD(struct column, toastable),
};
static SHAPE(column, 200);

static const struct field constraint_fields[] = {
    FIELD(struct constraint, oid),        FIELD(struct constraint, name),
    FIELD(struct constraint, type),       FIELD(struct constraint, definition),
    FIELD(struct constraint, validated),  FIELD(struct constraint, index_oid),
    FIELD(struct constraint, deferrable), FIELD(struct constraint, deferred),
    FIELD(struct constraint, temporal),   FIELD(struct constraint, comment),
};
static SHAPE(constraint, 56);

static const struct field index_column_statistics_fields[] = {
    FIELD(struct index_column_statistics, column),
    FIELD(struct index_column_statistics, target),
};
static SHAPE(index_column_statistics, 8);

static const struct field index_key_fields[] = {
    FIELD(struct index_key, equals),
    FIELD(struct index_key, opclass),
    FIELD(struct index_key, collation),
};
static SHAPE(index_key, 24);

static int
index_key_count(const struct holder *in)
{
    return ((const struct index *)in->object)->key_count;
}

static const struct field index_fields[] = {
    FIELD(struct index, oid),
    FIELD(struct index, name),
    FIELD(struct index, definition),
    FIELD(struct index, unique),
    FIELD(struct index, primary),
    FIELD(struct index, valid),
    FIELD(struct index, replica_identity),
    FIELD(struct index, clustered),
    FIELD(struct index, tablespace),
    FIELD(struct index, constraint_oid),
    FIELD_LIST(struct index, key_attnums, key_count, NULL),
    FIELD_LIST_COUNTED(struct index, keys, index_key_count, &index_key_shape),
    FIELD(struct index, partial),
    FIELD(struct index, predicate),
    FIELD(struct index, immediate),
    FIELD(struct index, nulls_not_distinct),
    FIELD(struct index, bytes),
    FIELD(struct index, comment),
    FIELD_LIST(struct index, statistics, statistics_count, &index_column_statistics_shape),
};
static SHAPE(index, 120);

static const struct field extended_statistics_fields[] = {
    FIELD(struct extended_statistics, oid),    FIELD(struct extended_statistics, schema),
    FIELD(struct extended_statistics, name),   FIELD(struct extended_statistics, definition),
    FIELD(struct extended_statistics, target), FIELD(struct extended_statistics, comment),
    FIELD(struct extended_statistics, owner),  FIELD(struct extended_statistics, owner_may_be_set),
};
static SHAPE(extended_statistics, 56);

FIELDS_COMPLETE(string_list, 16); /* see FIELD_LIST_STRUCT */

static const struct field dependent_fields[] = {
    FIELD(struct dependent, class_oid),
    FIELD(struct dependent, oid),
    FIELD(struct dependent, kind),
    FIELD(struct dependent, description),
    FIELD(struct dependent, reason),
    FIELD(struct dependent, schema),
    FIELD(struct dependent, name),
    FIELD_LIST(struct dependent, bases, base_count, NULL),
    FIELD(struct dependent, direct),
    FIELD(struct dependent, replaceable),
    FIELD(struct dependent, columns),
    FIELD(struct dependent, parsed_body),
    FIELD_LIST_STRUCT(struct dependent, lock, NULL),
    FIELD_LIST_STRUCT(struct dependent, detach, NULL),
    FIELD_LIST_STRUCT(struct dependent, attach, NULL),
    FIELD_LIST_STRUCT(struct dependent, replace, NULL),
    FIELD_LIST_STRUCT(struct dependent, obstacles, NULL),
    FIELD_LIST_STRUCT(struct dependent, holder, NULL),
    FIELD_LIST_STRUCT(struct dependent, pieces, NULL),
    FIELD(struct dependent, filled),
    FIELD(struct dependent, whole_row),
    FIELD(struct dependent, size),
    FIELD(struct dependent, owner),
    FIELD(struct dependent, not_early),
    FIELD(struct dependent, fate),
};
static SHAPE(dependent, 240);

static const struct field foreign_key_fields[] = {
    FIELD(struct foreign_key, oid),         FIELD(struct foreign_key, name),
    FIELD(struct foreign_key, on_oid),      FIELD(struct foreign_key, on_name),
    FIELD(struct foreign_key, columns),     FIELD(struct foreign_key, ref_oid),
    FIELD(struct foreign_key, ref_name),    FIELD(struct foreign_key, ref_columns),
    FIELD(struct foreign_key, ref_renamed), FIELD(struct foreign_key, options),
    FIELD(struct foreign_key, validated),   FIELD(struct foreign_key, on_kind),
    FIELD(struct foreign_key, comment),     FIELD(struct foreign_key, description),
    FIELD(struct foreign_key, reason),      FIELD(struct foreign_key, lock),
    FIELD(struct foreign_key, other_oid),   FIELD_LIST_STRUCT(struct foreign_key, leaves, NULL),
};
static SHAPE(foreign_key, 144);

static const struct field partition_fields[] = {
    FIELD(struct partition, name),
    FIELD(struct partition, parent),
    FIELD(struct partition, bounds),
    FIELD(struct partition, partition_key),
};
static SHAPE(partition, 32);

static const struct field table_fields[] = {
    FIELD(struct table, oid),
    FIELD(struct table, relfilenode),
    FIELD(struct table, schema),
    FIELD(struct table, name),
    FIELD(struct table, relkind),
    FIELD(struct table, persistence),
    FIELD(struct table, owner),
    FIELD(struct table, owner_is_ours),
    FIELD(struct table, session_role),
    FIELD(struct table, owner_is_session),
    FIELD(struct table, owner_may_be_set),
    FIELD(struct table, owner_may_create),
    FIELD(struct table, may_create_in_schema),
    FIELD(struct table, tablespace),
    FIELD(struct table, database_tablespace),
    FIELD(struct table, access_method),
    FIELD(struct table, options),
    FIELD(struct table, toast_options),
    FIELD(struct table, autovacuum),
    FIELD(struct table, toast_autovacuum),
    FIELD(struct table, replica_identity),
    FIELD(struct table, comment),
    FIELD(struct table, acl),
    FIELD_LIST_STRUCT(struct table, grants, &grant_shape),
    FIELD_LIST_STRUCT(struct table, default_privileges, &grant_shape),
    FIELD_LIST_STRUCT(struct table, sequence_privileges, &grant_shape),
    FIELD(struct table, is_partition),
    FIELD(struct table, is_system),
    FIELD(struct table, row_security),
    FIELD(struct table, force_row_security),
    FIELD(struct table, row_security_active),
    FIELD(struct table, has_toast),
    FIELD(struct table, bytes),
    FIELD(struct table, heap_bytes),
    FIELD(struct table, estimated_rows),
    FIELD_LIST(struct table, columns, column_count, &column_shape),
    FIELD_LIST(struct table, constraints, constraint_count, &constraint_shape),
    FIELD_LIST(struct table, indexes, index_count, &index_shape),
    FIELD_LIST(struct table, statistics, statistics_count, &extended_statistics_shape),
    FIELD_LIST(struct table, foreign_keys, foreign_key_count, &foreign_key_shape),
    FIELD_LIST(struct table, dependents, dependent_count, &dependent_shape),
    FIELD(struct table, partition_key),
    FIELD_LIST(struct table, partitions, partition_count, &partition_shape),
    FIELD(struct table, search_path),
    FIELD(struct table, fingerprint),
};
SHAPE(table, 360);

void
table_free(struct table *t)
{
    fields_free(&table_shape, t);
}

struct table *
table_copy(const struct table *from)
{
    return fields_copy(&table_shape, from);
}

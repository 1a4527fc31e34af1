"""The number that identifies a phone, in rows of contacts and suppressions: kept by the database itself.

What was there before is filled in, and joined, by the next migration, which holds up writers for longer.
"""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

# As data/number_spellings.toml had it when this was released. A later change of that file takes a migration of its own.
COUNTRIES = "52|54|55|84|97|225|229|237|241"
CHANGES = (
    # head, (what stood there, what stands there now), rest
    (r"\+52", (("1", ""),), "[2-9][0-9]{9}"),
    (r"\+55[1-9][1-9]", (("", "9"),), "[6-9][0-9]{7}"),
    (r"\+229", (("", "01"),), "[24-69][0-9]{7}"),
    (r"\+225", (("", "01"),), "[04-9][0-3][0-9]{6}"),
    (r"\+225", (("", "05"),), "[04-9][4-6][0-9]{6}"),
    (r"\+225", (("", "07"),), "[04-9][7-9][0-9]{6}"),
    (r"\+225", (("", "27"),), "(?:2(?:0[23]|1[2357]|2[245]|3[45]|4[3-5])|3(?:06|1[69]|[2-6]7))[0-9]{5}"),
    (r"\+241", (("0", "6"), ("", "6")), "[256][0-9]{6}"),
    (r"\+241", (("0", "7"), ("", "7")), "[47][0-9]{6}"),
    (r"\+237", (("", "6"),), "[5679][0-9]{7}"),
    (r"\+237", (("", "2"),), "(?:22|33|42|43)[0-9]{6}"),
    (
        r"\+84",
        (
            *(("120", "70"), ("121", "79"), ("122", "77"), ("126", "76"), ("128", "78")),
            *(("123", "83"), ("124", "84"), ("125", "85"), ("127", "81"), ("129", "82")),
            *(("162", "32"), ("163", "33"), ("164", "34"), ("165", "35"), ("166", "36"), ("167", "37")),
            *(("168", "38"), ("169", "39"), ("186", "56"), ("188", "58"), ("199", "59")),
        ),
        "[0-9]{7}",
    ),
    (r"\+54", (("", "9"),), "[1-3][0-9]{9}"),
    (r"\+97", (("2", "0"),), "5[69][0-9]{7}"),
)


def _branches() -> str:
    """Return a branch of the function for each change."""
    return "\n".join(
        f"WHEN phone ~ '^{head}{was}{rest}$' THEN regexp_replace(phone, '^({head}){was}({rest})$', '\\1{now}\\2')"
        for head, digits, rest in CHANGES
        for was, now in digits
    )


CANONICAL = [
    f"""
    CREATE FUNCTION canonical_phone(phone varchar) RETURNS varchar LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
        SELECT CASE WHEN phone !~ '^\\+({COUNTRIES})' THEN phone
            {_branches()}
            ELSE phone END
    $$
    """,
    # The number is never the writer's to say: a process of the release before fills it, too.
    """
    CREATE FUNCTION keep_canonical() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.canonical := canonical_phone(NEW.phone);
        RETURN NEW;
    END $$
    """,
    *(
        f"CREATE TRIGGER {table}_canonical BEFORE INSERT OR UPDATE OF phone, canonical ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION keep_canonical()"
        for table in ("contacts", "suppressions")
    ),
    # The release before suppresses both spellings of a phone in one statement, and must not fail of the second: a STOP
    # would be lost for a while.
    """
    CREATE FUNCTION suppress_once() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (
            SELECT FROM suppressions WHERE workspace_id = NEW.workspace_id AND livemode = NEW.livemode
                AND canonical = NEW.canonical
        ) THEN
            RETURN NULL;
        END IF;
        RETURN NEW;
    END $$
    """,
    # After the trigger that fills the number in: they fire in the order of their names.
    "CREATE TRIGGER suppressions_once BEFORE INSERT ON suppressions FOR EACH ROW EXECUTE FUNCTION suppress_once()",
]


class Migration(migrations.Migration):
    """Adds the columns and what fills them; widens what is kept of an address that a carrier wrote."""

    dependencies = [("msvs", "0008_newer_evidence")]
    initial = False

    operations = [
        ops.AddField("Contact", "canonical", fields.CharField(default="", db_default="", max_length=16)),
        ops.AddField("Suppression", "canonical", fields.CharField(default="", db_default="", max_length=16)),
        ops.AlterField("CarrierSignal", "from_phone", fields.CharField(null=True, max_length=40)),
        ops.AlterField("CarrierSignal", "to_sender", fields.CharField(null=True, max_length=40)),
        ops.RunSQL(CANONICAL),
    ]

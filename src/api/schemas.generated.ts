// Generated from crds/*.yaml by scripts/generate-api.ts (npm run generate). Changes here are lost.
import type { Kind } from './resources.generated.ts';
import type { Schema } from './schema.ts';

/** Schema of each kind, CEL rules included. */
export const schemas: Readonly<Record<Kind, Schema>> = {
  ClusterVMAccessPolicy: {
 "type": "object",
 "description": "What VMs of many namespaces may fetch and what not.",
 "required": [
  "spec"
 ],
 "properties": {
  "apiVersion": {
   "type": "string",
   "description": "gueststore.dev/v1alpha1"
  },
  "kind": {
   "type": "string",
   "description": "ClusterVMAccessPolicy"
  },
  "metadata": {
   "type": "object"
  },
  "spec": {
   "type": "object",
   "description": "Which VMs, and what they may fetch.",
   "required": [
    "namespaceSelector",
    "vmSelector"
   ],
   "properties": {
    "namespaceSelector": {
     "type": "object",
     "description": "Namespaces whose VMs are selected, by label; empty selects all.",
     "properties": {
      "matchLabels": {
       "type": "object",
       "description": "Labels that must be there with exactly these values.",
       "maxProperties": 64,
       "additionalProperties": {
        "type": "string",
        "maxLength": 63,
        "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
       }
      },
      "matchExpressions": {
       "type": "array",
       "description": "Conditions on labels that must all hold.",
       "maxItems": 64,
       "items": {
        "type": "object",
        "description": "A condition on one label.",
        "required": [
         "key",
         "operator"
        ],
        "properties": {
         "key": {
          "type": "string",
          "description": "Key of the label.",
          "minLength": 1,
          "maxLength": 317,
          "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
         },
         "operator": {
          "type": "string",
          "description": "How the label relates to the values.",
          "enum": [
           "In",
           "NotIn",
           "Exists",
           "DoesNotExist"
          ]
         },
         "values": {
          "type": "array",
          "description": "Values for In and NotIn.",
          "maxItems": 64,
          "items": {
           "type": "string",
           "description": "A value of the label.",
           "maxLength": 63,
           "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
          }
         }
        },
        "x-kubernetes-validations": [
         {
          "rule": "self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 : true",
          "message": "In and NotIn need at least one value",
          "fieldPath": ".values"
         },
         {
          "rule": "self.operator in ['Exists', 'DoesNotExist'] ? !has(self.values) || size(self.values) == 0 : true",
          "message": "Exists and DoesNotExist take no values",
          "fieldPath": ".values"
         }
        ]
       }
      }
     }
    },
    "vmSelector": {
     "type": "object",
     "description": "VMs that the rules apply to, by label and name; empty selects all.",
     "properties": {
      "matchLabels": {
       "type": "object",
       "description": "Labels that must be there with exactly these values.",
       "maxProperties": 64,
       "additionalProperties": {
        "type": "string",
        "maxLength": 63,
        "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
       }
      },
      "matchExpressions": {
       "type": "array",
       "description": "Conditions on labels that must all hold.",
       "maxItems": 64,
       "items": {
        "type": "object",
        "description": "A condition on one label.",
        "required": [
         "key",
         "operator"
        ],
        "properties": {
         "key": {
          "type": "string",
          "description": "Key of the label.",
          "minLength": 1,
          "maxLength": 317,
          "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
         },
         "operator": {
          "type": "string",
          "description": "How the label relates to the values.",
          "enum": [
           "In",
           "NotIn",
           "Exists",
           "DoesNotExist"
          ]
         },
         "values": {
          "type": "array",
          "description": "Values for In and NotIn.",
          "maxItems": 64,
          "items": {
           "type": "string",
           "description": "A value of the label.",
           "maxLength": 63,
           "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
          }
         }
        },
        "x-kubernetes-validations": [
         {
          "rule": "self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 : true",
          "message": "In and NotIn need at least one value",
          "fieldPath": ".values"
         },
         {
          "rule": "self.operator in ['Exists', 'DoesNotExist'] ? !has(self.values) || size(self.values) == 0 : true",
          "message": "Exists and DoesNotExist take no values",
          "fieldPath": ".values"
         }
        ]
       }
      },
      "names": {
       "type": "array",
       "description": "Names of GuestVMs. When given, a VM must bear one of them (and match the labels too, where labels are given).",
       "maxItems": 256,
       "items": {
        "type": "string",
        "description": "Name of a GuestVM.",
        "minLength": 1,
        "maxLength": 253,
        "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
       }
      }
     }
    },
    "grant": {
     "type": "array",
     "description": "Content paths that the VMs may fetch. A grant beats every deny, of any policy.",
     "maxItems": 256,
     "items": {
      "type": "string",
      "description": "A regular expression in RE2 syntax; \".\" matches every character.",
      "minLength": 1,
      "maxLength": 1024,
      "x-kubernetes-validations": [
       {
        "rule": "!self.contains(';')",
        "message": "must not contain ';', which separates rules"
       },
       {
        "rule": "''.matches(self) in [true, false]",
        "message": "must be a regular expression in RE2 syntax that compiles by itself"
       }
      ]
     }
    },
    "deny": {
     "type": "array",
     "description": "Content paths that the VMs may not fetch, unless granted.",
     "maxItems": 256,
     "items": {
      "type": "string",
      "description": "A regular expression in RE2 syntax; \".\" matches every character.",
      "minLength": 1,
      "maxLength": 1024,
      "x-kubernetes-validations": [
       {
        "rule": "!self.contains(';')",
        "message": "must not contain ';', which separates rules"
       },
       {
        "rule": "''.matches(self) in [true, false]",
        "message": "must be a regular expression in RE2 syntax that compiles by itself"
       }
      ]
     }
    },
    "match": {
     "type": "string",
     "description": "Whole, a rule must match the whole content path. Search, anywhere in it.",
     "enum": [
      "Whole",
      "Search"
     ],
     "default": "Whole"
    },
    "mode": {
     "type": "string",
     "description": "Enforce puts the rules in force. Audit only says in logs what they would decide.",
     "enum": [
      "Enforce",
      "Audit"
     ],
     "default": "Enforce"
    },
    "suspend": {
     "type": "boolean",
     "default": false,
     "description": "Stops work on this object; what is in force stays in force."
    }
   }
  },
  "status": {
   "type": "object",
   "description": "What the operator found and did.",
   "default": {
    "observedGeneration": -1
   },
   "properties": {
    "observedGeneration": {
     "type": "integer",
     "format": "int64",
     "minimum": -1,
     "description": "Generation that this status speaks of; -1 before the operator has seen the object."
    },
    "lastHandledReconcileAt": {
     "type": "string",
     "maxLength": 64,
     "description": "Value of the annotation gueststore.dev/requestedAt that was last acted upon."
    },
    "conditions": {
     "type": "array",
     "description": "What is true of the object now. Types are Ready, Reconciling, Stalled, RulesEffective, Programmed and NotSupportedYet.",
     "maxItems": 16,
     "x-kubernetes-list-type": "map",
     "x-kubernetes-list-map-keys": [
      "type"
     ],
     "items": {
      "type": "object",
      "description": "One fact about the object.",
      "required": [
       "type",
       "status",
       "lastTransitionTime",
       "reason",
       "message"
      ],
      "properties": {
       "type": {
        "type": "string",
        "description": "Which fact.",
        "maxLength": 316,
        "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
       },
       "status": {
        "type": "string",
        "description": "Whether it is so.",
        "enum": [
         "True",
         "False",
         "Unknown"
        ]
       },
       "observedGeneration": {
        "type": "integer",
        "format": "int64",
        "minimum": 0,
        "description": "Generation of the object that this was said of."
       },
       "lastTransitionTime": {
        "type": "string",
        "format": "date-time",
        "maxLength": 64,
        "description": "When status last changed."
       },
       "reason": {
        "type": "string",
        "description": "Why, as one word of a closed set.",
        "minLength": 1,
        "maxLength": 1024,
        "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
       },
       "message": {
        "type": "string",
        "description": "Why, for people; and the way out where there is one.",
        "maxLength": 32768
       }
      }
     }
    },
    "matched": {
     "type": "integer",
     "format": "int32",
     "minimum": 0,
     "description": "VMs that are selected."
    },
    "programmed": {
     "type": "integer",
     "format": "int32",
     "minimum": 0,
     "description": "Selected VMs whose host has put these rules in force."
    },
    "warnings": {
     "type": "array",
     "description": "Findings on the rules, the first 32.",
     "maxItems": 32,
     "items": {
      "type": "object",
      "description": "One finding.",
      "required": [
       "code",
       "message"
      ],
      "properties": {
       "code": {
        "type": "string",
        "description": "Kind of finding.",
        "maxLength": 64
       },
       "message": {
        "type": "string",
        "description": "What it means here.",
        "maxLength": 1024
       },
       "witness": {
        "type": "string",
        "description": "A content path that shows it.",
        "maxLength": 1024
       }
      }
     }
    }
   }
  }
 }
},
  ContentItem: {
 "type": "object",
 "description": "One content path (or a tree under it) of a repository, and where its bytes come from.",
 "required": [
  "spec"
 ],
 "properties": {
  "apiVersion": {
   "type": "string",
   "description": "gueststore.dev/v1alpha1"
  },
  "kind": {
   "type": "string",
   "description": "ContentItem"
  },
  "metadata": {
   "type": "object"
  },
  "spec": {
   "type": "object",
   "description": "What should be published, where, and from where.",
   "required": [
    "repositoryRef",
    "path",
    "source"
   ],
   "properties": {
    "repositoryRef": {
     "type": "object",
     "description": "The repository that publishes it.",
     "required": [
      "name"
     ],
     "properties": {
      "name": {
       "type": "string",
       "description": "Name of the GuestStoreRepository.",
       "minLength": 1,
       "maxLength": 253,
       "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
      },
      "namespace": {
       "type": "string",
       "description": "Its namespace; the own one when left out.",
       "minLength": 1,
       "maxLength": 63,
       "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
      }
     }
    },
    "path": {
     "type": "string",
     "description": "Content path that guests ask for: absolute, printable UTF-8 in Unicode normalization form C. Of a tree, the folder that it stands under.",
     "minLength": 2,
     "maxLength": 1024,
     "x-kubernetes-validations": [
      {
       "rule": "self.startsWith('/')",
       "message": "must begin with '/'"
      },
      {
       "rule": "!self.matches('/[.]{0,2}(/|$)')",
       "message": "must not have an empty, '.' or '..' segment"
      },
      {
       "rule": "!self.matches(r\"[\\x00-\\x1f\\x7f-\\x9f\\x{2028}\\x{2029}]\")",
       "message": "must not contain control characters or line separators"
      },
      {
       "rule": "!self.matches(r\"[;\\\\]\")",
       "message": "must not contain ';' (it separates rules) or a backslash"
      },
      {
       "rule": "bytes(self).size() <= 1024",
       "message": "must be at most 1024 bytes of UTF-8"
      },
      {
       "rule": "self.split('/').all(s, bytes(s).size() <= 255)",
       "message": "each segment must be at most 255 bytes of UTF-8"
      }
     ]
    },
    "source": {
     "type": "object",
     "description": "Where the bytes come from; exactly one.",
     "properties": {
      "inline": {
       "type": "object",
       "description": "Bytes that stand in this object, at most 1 MiB.",
       "properties": {
        "text": {
         "type": "string",
         "description": "Text, stored as UTF-8.",
         "maxLength": 1048576,
         "x-kubernetes-validations": [
          {
           "rule": "bytes(self).size() <= 1048576",
           "message": "must be at most 1 MiB of UTF-8"
          }
         ]
        },
        "base64": {
         "type": "string",
         "description": "Any bytes, as standard base64 with padding and without line breaks.",
         "maxLength": 1398104,
         "pattern": "^[A-Za-z0-9+/]*={0,2}$",
         "x-kubernetes-validations": [
          {
           "rule": "size(self) % 4 == 0",
           "message": "must be padded with '=' to a multiple of four characters"
          },
          {
           "rule": "size(self) / 4 * 3 - (self.endsWith('==') ? 2 : self.endsWith('=') ? 1 : 0) <= 1048576",
           "message": "must hold at most 1 MiB of bytes"
          }
         ]
        }
       },
       "x-kubernetes-validations": [
        {
         "rule": "has(self.text) != has(self.base64)",
         "message": "exactly one of text and base64 must be given"
        }
       ]
      },
      "configMapKeyRef": {
       "type": "object",
       "description": "An entry of a ConfigMap (data or binaryData).",
       "required": [
        "name",
        "key"
       ],
       "properties": {
        "name": {
         "type": "string",
         "description": "Its name, in the same namespace.",
         "minLength": 1,
         "maxLength": 253,
         "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
        },
        "key": {
         "type": "string",
         "description": "Key of the entry.",
         "minLength": 1,
         "maxLength": 253,
         "pattern": "^[-._a-zA-Z0-9]+$"
        }
       }
      },
      "secretKeyRef": {
       "type": "object",
       "description": "An entry of a Secret. Its bytes never stand in the plain tree.",
       "required": [
        "name",
        "key"
       ],
       "properties": {
        "name": {
         "type": "string",
         "description": "Its name, in the same namespace.",
         "minLength": 1,
         "maxLength": 253,
         "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
        },
        "key": {
         "type": "string",
         "description": "Key of the entry.",
         "minLength": 1,
         "maxLength": 253,
         "pattern": "^[-._a-zA-Z0-9]+$"
        }
       }
      },
      "http": {
       "type": "object",
       "description": "A file on a web server. The digest is required, so that only the intended bytes are ever published.",
       "required": [
        "url"
       ],
       "properties": {
        "url": {
         "type": "string",
         "description": "Address of the file, http or https.",
         "minLength": 1,
         "maxLength": 2048,
         "x-kubernetes-validations": [
          {
           "rule": "self.matches('^https?://')",
           "message": "must begin with http:// or https://"
          },
          {
           "rule": "!self.matches('^https?://[^/?#]*@')",
           "message": "must not hold a user or password"
          },
          {
           "rule": "!self.matches('^https?://') || self.matches('^https?://[^/?#]*@') || self.matches('^https?://([A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?|[[][0-9A-Fa-f:.]+[]])(:[0-9]{1,5})?([/?][!$-;=?-Z_a-z~%]*)?$')",
           "message": "must be a URL with a host, in ASCII with other characters percent-encoded, without a fragment"
          }
         ]
        }
       }
      },
      "file": {
       "type": "object",
       "description": "A file below the import folder that the operator was started with.",
       "required": [
        "path"
       ],
       "properties": {
        "path": {
         "type": "string",
         "description": "Path below the import folder.",
         "minLength": 1,
         "maxLength": 1024,
         "x-kubernetes-validations": [
          {
           "rule": "!self.startsWith('/')",
           "message": "must be relative, without a leading '/'"
          },
          {
           "rule": "!self.matches('(^|/)[.]{0,2}(/|$)') || self.startsWith('/')",
           "message": "must not have an empty, '.' or '..' segment"
          },
          {
           "rule": "!self.matches(r\"[\\x00-\\x1f\\x7f]\")",
           "message": "must not contain control characters"
          }
         ]
        }
       }
      },
      "oci": {
       "type": "object",
       "description": "A layer of an OCI artifact.",
       "required": [
        "ref"
       ],
       "properties": {
        "ref": {
         "type": "string",
         "description": "Reference of the artifact, with tag or digest.",
         "minLength": 1,
         "maxLength": 512,
         "pattern": "^[A-Za-z0-9][-A-Za-z0-9._:/@]*$"
        },
        "path": {
         "type": "string",
         "description": "File in the artifact; its only layer when left out.",
         "minLength": 1,
         "maxLength": 1024,
         "x-kubernetes-validations": [
          {
           "rule": "!self.startsWith('/')",
           "message": "must be relative, without a leading '/'"
          },
          {
           "rule": "!self.matches('(^|/)[.]{0,2}(/|$)') || self.startsWith('/')",
           "message": "must not have an empty, '.' or '..' segment"
          },
          {
           "rule": "!self.matches(r\"[\\x00-\\x1f\\x7f]\")",
           "message": "must not contain control characters"
          }
         ]
        }
       }
      },
      "git": {
       "type": "object",
       "description": "A file or folder of a Git repository.",
       "required": [
        "url"
       ],
       "properties": {
        "url": {
         "type": "string",
         "description": "Address of the repository, https or ssh.",
         "minLength": 1,
         "maxLength": 2048,
         "pattern": "^(https?|ssh)://[^ ]+$"
        },
        "ref": {
         "type": "string",
         "description": "Branch, tag or commit; the default branch when left out.",
         "minLength": 1,
         "maxLength": 255,
         "pattern": "^[A-Za-z0-9][-A-Za-z0-9._/+]*$"
        },
        "path": {
         "type": "string",
         "description": "File or folder in the repository; all of it when left out.",
         "minLength": 1,
         "maxLength": 1024,
         "x-kubernetes-validations": [
          {
           "rule": "!self.startsWith('/')",
           "message": "must be relative, without a leading '/'"
          },
          {
           "rule": "!self.matches('(^|/)[.]{0,2}(/|$)') || self.startsWith('/')",
           "message": "must not have an empty, '.' or '..' segment"
          },
          {
           "rule": "!self.matches(r\"[\\x00-\\x1f\\x7f]\")",
           "message": "must not contain control characters"
          }
         ]
        }
       }
      },
      "s3": {
       "type": "object",
       "description": "An object of an S3 bucket.",
       "required": [
        "bucket",
        "key"
       ],
       "properties": {
        "endpoint": {
         "type": "string",
         "description": "Address of the service; Amazon's when left out.",
         "minLength": 1,
         "maxLength": 2048,
         "x-kubernetes-validations": [
          {
           "rule": "self.matches('^https?://')",
           "message": "must begin with http:// or https://"
          },
          {
           "rule": "!self.matches('^https?://[^/?#]*@')",
           "message": "must not hold a user or password"
          },
          {
           "rule": "!self.matches('^https?://') || self.matches('^https?://[^/?#]*@') || self.matches('^https?://([A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?|[[][0-9A-Fa-f:.]+[]])(:[0-9]{1,5})?([/?][!$-;=?-Z_a-z~%]*)?$')",
           "message": "must be a URL with a host, in ASCII with other characters percent-encoded, without a fragment"
          }
         ]
        },
        "region": {
         "type": "string",
         "description": "Region of the bucket.",
         "minLength": 1,
         "maxLength": 63,
         "pattern": "^[a-z0-9][-a-z0-9]*$"
        },
        "bucket": {
         "type": "string",
         "description": "Name of the bucket.",
         "minLength": 1,
         "maxLength": 63,
         "pattern": "^[a-z0-9][-.a-z0-9]*$"
        },
        "key": {
         "type": "string",
         "description": "Key of the object.",
         "minLength": 1,
         "maxLength": 1024
        }
       }
      },
      "artifact": {
       "type": "object",
       "description": "What a source of Flux has fetched.",
       "required": [
        "kind",
        "name"
       ],
       "properties": {
        "kind": {
         "type": "string",
         "description": "Kind of the source.",
         "enum": [
          "GitRepository",
          "OCIRepository",
          "Bucket",
          "HelmChart",
          "ExternalArtifact"
         ]
        },
        "name": {
         "type": "string",
         "description": "Name of the source.",
         "minLength": 1,
         "maxLength": 253,
         "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
        },
        "namespace": {
         "type": "string",
         "description": "Its namespace; the own one when left out.",
         "minLength": 1,
         "maxLength": 63,
         "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
        },
        "path": {
         "type": "string",
         "description": "File or folder in the artifact; all of it when left out.",
         "minLength": 1,
         "maxLength": 1024,
         "x-kubernetes-validations": [
          {
           "rule": "!self.startsWith('/')",
           "message": "must be relative, without a leading '/'"
          },
          {
           "rule": "!self.matches('(^|/)[.]{0,2}(/|$)') || self.startsWith('/')",
           "message": "must not have an empty, '.' or '..' segment"
          },
          {
           "rule": "!self.matches(r\"[\\x00-\\x1f\\x7f]\")",
           "message": "must not contain control characters"
          }
         ]
        }
       }
      },
      "existing": {
       "type": "object",
       "description": "Bytes that lie in the plain tree already."
      },
      "catalog": {
       "type": "object",
       "description": "A folder that is described by a metadata.json in VMware's shape.",
       "required": [
        "url"
       ],
       "properties": {
        "url": {
         "type": "string",
         "description": "Address of the metadata.json, http or https.",
         "minLength": 1,
         "maxLength": 2048,
         "x-kubernetes-validations": [
          {
           "rule": "self.matches('^https?://')",
           "message": "must begin with http:// or https://"
          },
          {
           "rule": "!self.matches('^https?://[^/?#]*@')",
           "message": "must not hold a user or password"
          },
          {
           "rule": "!self.matches('^https?://') || self.matches('^https?://[^/?#]*@') || self.matches('^https?://([A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?|[[][0-9A-Fa-f:.]+[]])(:[0-9]{1,5})?([/?][!$-;=?-Z_a-z~%]*)?$')",
           "message": "must be a URL with a host, in ASCII with other characters percent-encoded, without a fragment"
          }
         ]
        }
       }
      }
     },
     "x-kubernetes-validations": [
      {
       "rule": "[has(self.inline), has(self.configMapKeyRef), has(self.secretKeyRef), has(self.http), has(self.file), has(self.oci), has(self.git), has(self.s3), has(self.artifact), has(self.existing), has(self.catalog)].filter(given, given).size() == 1",
       "message": "exactly one source must be given"
      }
     ]
    },
    "digest": {
     "type": "string",
     "description": "Digest that the bytes must have; nothing else is ever published. Required for http.",
     "minLength": 1,
     "maxLength": 71,
     "pattern": "^sha256:[0-9a-f]{64}$"
    },
    "verify": {
     "type": "array",
     "description": "Public keys; the bytes must bear a signature by one of them.",
     "maxItems": 8,
     "items": {
      "type": "object",
      "description": "One key.",
      "required": [
       "key"
      ],
      "properties": {
       "key": {
        "type": "string",
        "description": "Public key in PEM.",
        "minLength": 1,
        "maxLength": 8192,
        "pattern": "^-----BEGIN PUBLIC KEY-----"
       }
      }
     }
    },
    "extract": {
     "type": "object",
     "description": "Publishes the files of an archive under path, in place of the archive.",
     "required": [
      "format"
     ],
     "properties": {
      "format": {
       "type": "string",
       "description": "Form of the archive.",
       "enum": [
        "Tar",
        "TarGzip",
        "TarZstd",
        "Zip"
       ]
      },
      "include": {
       "type": "array",
       "description": "Patterns of the files to publish; all when left out.",
       "maxItems": 64,
       "items": {
        "type": "string",
        "description": "A glob such as bin/**.",
        "minLength": 1,
        "maxLength": 1024
       }
      },
      "exclude": {
       "type": "array",
       "description": "Patterns of files to leave out; stronger than include.",
       "maxItems": 64,
       "items": {
        "type": "string",
        "description": "A glob such as **/*.pdb.",
        "minLength": 1,
        "maxLength": 1024
       }
      }
     }
    },
    "interval": {
     "type": "string",
     "description": "How often a remote source is asked; the repository's interval when left out.",
     "minLength": 2,
     "maxLength": 24,
     "pattern": "^([0-9]{1,5}(h|m|s|ms)){1,4}$",
     "x-kubernetes-validations": [
      {
       "rule": "duration(self) >= duration('1s')",
       "message": "must be at least 1s"
      }
     ]
    },
    "suspend": {
     "type": "boolean",
     "default": false,
     "description": "Stops work on this object; what is in force stays in force."
    }
   },
   "x-kubernetes-validations": [
    {
     "rule": "!has(self.source.http) || has(self.digest)",
     "message": "a digest is required for an http source",
     "fieldPath": ".digest",
     "reason": "FieldValueRequired"
    }
   ]
  },
  "status": {
   "type": "object",
   "description": "What the operator found and did.",
   "default": {
    "observedGeneration": -1
   },
   "properties": {
    "observedGeneration": {
     "type": "integer",
     "format": "int64",
     "minimum": -1,
     "description": "Generation that this status speaks of; -1 before the operator has seen the object."
    },
    "lastHandledReconcileAt": {
     "type": "string",
     "maxLength": 64,
     "description": "Value of the annotation gueststore.dev/requestedAt that was last acted upon."
    },
    "conditions": {
     "type": "array",
     "description": "What is true of the object now. Types are Ready, Reconciling, Stalled, SourceReady, Verified, Stored, Served and NotSupportedYet.",
     "maxItems": 16,
     "x-kubernetes-list-type": "map",
     "x-kubernetes-list-map-keys": [
      "type"
     ],
     "items": {
      "type": "object",
      "description": "One fact about the object.",
      "required": [
       "type",
       "status",
       "lastTransitionTime",
       "reason",
       "message"
      ],
      "properties": {
       "type": {
        "type": "string",
        "description": "Which fact.",
        "maxLength": 316,
        "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
       },
       "status": {
        "type": "string",
        "description": "Whether it is so.",
        "enum": [
         "True",
         "False",
         "Unknown"
        ]
       },
       "observedGeneration": {
        "type": "integer",
        "format": "int64",
        "minimum": 0,
        "description": "Generation of the object that this was said of."
       },
       "lastTransitionTime": {
        "type": "string",
        "format": "date-time",
        "maxLength": 64,
        "description": "When status last changed."
       },
       "reason": {
        "type": "string",
        "description": "Why, as one word of a closed set.",
        "minLength": 1,
        "maxLength": 1024,
        "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
       },
       "message": {
        "type": "string",
        "description": "Why, for people; and the way out where there is one.",
        "maxLength": 32768
       }
      }
     }
    },
    "digest": {
     "type": "string",
     "description": "Digest of what is published; never of a Secret.",
     "minLength": 1,
     "maxLength": 71,
     "pattern": "^sha256:[0-9a-f]{64}$"
    },
    "size": {
     "type": "integer",
     "format": "int64",
     "minimum": 0,
     "description": "Bytes of what is published."
    },
    "sourceRevision": {
     "type": "string",
     "maxLength": 1024,
     "description": "What the source calls the published version."
    },
    "servedDigest": {
     "type": "string",
     "description": "Digest that all hosts serve.",
     "minLength": 1,
     "maxLength": 71,
     "pattern": "^sha256:[0-9a-f]{64}$"
    },
    "progress": {
     "type": "object",
     "description": "How far fetching is; only while it goes on.",
     "required": [
      "bytes"
     ],
     "properties": {
      "bytes": {
       "type": "integer",
       "format": "int64",
       "minimum": 0,
       "description": "Bytes received."
      },
      "total": {
       "type": "integer",
       "format": "int64",
       "minimum": 0,
       "description": "Bytes in all, where the source says so."
      }
     }
    }
   }
  }
 }
},
  GuestStoreDatastore: {
 "type": "object",
 "description": "What namespaces may do with the datastore of this name. A datastore without such an object is open to every namespace.",
 "required": [
  "spec"
 ],
 "properties": {
  "apiVersion": {
   "type": "string",
   "description": "gueststore.dev/v1alpha1"
  },
  "kind": {
   "type": "string",
   "description": "GuestStoreDatastore"
  },
  "metadata": {
   "type": "object"
  },
  "spec": {
   "type": "object",
   "description": "Who may use the datastore, and how much of it.",
   "required": [
    "namespaces"
   ],
   "properties": {
    "namespaces": {
     "type": "array",
     "description": "Rules for namespaces. The first that fits a namespace holds for it; one that none fits may not use the datastore.",
     "maxItems": 32,
     "items": {
      "type": "object",
      "description": "What the namespaces that it fits may do.",
      "required": [
       "from"
      ],
      "properties": {
       "from": {
        "type": "string",
        "description": "All fits every namespace, Selector those whose labels match.",
        "enum": [
         "All",
         "Selector"
        ]
       },
       "selector": {
        "type": "object",
        "description": "Labels of the namespaces, for Selector.",
        "properties": {
         "matchLabels": {
          "type": "object",
          "description": "Labels that must be there with exactly these values.",
          "maxProperties": 64,
          "additionalProperties": {
           "type": "string",
           "maxLength": 63,
           "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
          }
         },
         "matchExpressions": {
          "type": "array",
          "description": "Conditions on labels that must all hold.",
          "maxItems": 64,
          "items": {
           "type": "object",
           "description": "A condition on one label.",
           "required": [
            "key",
            "operator"
           ],
           "properties": {
            "key": {
             "type": "string",
             "description": "Key of the label.",
             "minLength": 1,
             "maxLength": 317,
             "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
            },
            "operator": {
             "type": "string",
             "description": "How the label relates to the values.",
             "enum": [
              "In",
              "NotIn",
              "Exists",
              "DoesNotExist"
             ]
            },
            "values": {
             "type": "array",
             "description": "Values for In and NotIn.",
             "maxItems": 64,
             "items": {
              "type": "string",
              "description": "A value of the label.",
              "maxLength": 63,
              "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
             }
            }
           },
           "x-kubernetes-validations": [
            {
             "rule": "self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 : true",
             "message": "In and NotIn need at least one value",
             "fieldPath": ".values"
            },
            {
             "rule": "self.operator in ['Exists', 'DoesNotExist'] ? !has(self.values) || size(self.values) == 0 : true",
             "message": "Exists and DoesNotExist take no values",
             "fieldPath": ".values"
            }
           ]
          }
         }
        }
       },
       "roots": {
        "type": "array",
        "description": "Folders of the datastore at or below which the roots of their repositories must lie. ${namespace} stands for the name of the namespace.",
        "maxItems": 16,
        "default": [
         "${namespace}"
        ],
        "items": {
         "type": "string",
         "description": "A folder, without leading or trailing \"/\".",
         "minLength": 1,
         "maxLength": 255,
         "x-kubernetes-validations": [
          {
           "rule": "!self.startsWith('/')",
           "message": "must be relative to the datastore, without a leading '/'"
          },
          {
           "rule": "!self.matches('(^|/)[.]{0,2}(/|$)') || self.startsWith('/')",
           "message": "must not have an empty, '.' or '..' segment"
          },
          {
           "rule": "self != '.gueststore' && !self.startsWith('.gueststore/')",
           "message": "must not lie in .gueststore, which is the operator's own"
          },
          {
           "rule": "!self.replace('${namespace}', '').contains('$')",
           "message": "must not have a '$' but in ${namespace}"
          }
         ]
        }
       },
       "maxItemSize": {
        "description": "Largest size of one content file of these namespaces; 512Mi, the ceiling of the model, when left out.",
        "x-kubernetes-int-or-string": true,
        "anyOf": [
         {
          "type": "integer"
         },
         {
          "type": "string"
         }
        ],
        "maxLength": 32,
        "pattern": "^([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([KMGTP]i|[kMGTP]|[eE][0-9]{1,2})?$",
        "x-kubernetes-validations": [
         {
          "rule": "quantity(string(self)).isGreaterThan(quantity('0'))",
          "message": "must be above zero, such as 512Mi"
         },
         {
          "rule": "quantity(string(self)).compareTo(quantity('512Mi')) <= 0",
          "message": "must be at most 512Mi, the most that GuestStore clients accept"
         }
        ]
       },
       "quota": {
        "description": "Most bytes that each of these namespaces may keep in the datastore, over all its repositories; unbounded when left out.",
        "x-kubernetes-int-or-string": true,
        "anyOf": [
         {
          "type": "integer"
         },
         {
          "type": "string"
         }
        ],
        "maxLength": 32,
        "pattern": "^([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([KMGTP]i|[kMGTP]|[eE][0-9]{1,2})?$",
        "x-kubernetes-validations": [
         {
          "rule": "quantity(string(self)).isGreaterThan(quantity('0'))",
          "message": "must be above zero, such as 512Mi"
         },
         {
          "rule": "quantity(string(self)).compareTo(quantity('4Pi')) <= 0",
          "message": "must be at most 4Pi"
         }
        ]
       },
       "leastPosture": {
        "type": "string",
        "description": "Closed denies what no rule grants to every VM of their repositories, whatever the repository says. Open leaves it to the repository.",
        "enum": [
         "Open",
         "Closed"
        ],
        "default": "Open"
       },
       "egress": {
        "type": "object",
        "description": "Where their http sources may connect to. Link-local addresses and cloud metadata services are refused to everybody.",
        "default": {},
        "properties": {
         "hosts": {
          "type": "array",
          "description": "Names that a URL, or a redirect, may have; a leading \"*.\" stands for one or more labels. Any name when left out. An address in place of a name must lie in cidrs.",
          "maxItems": 64,
          "items": {
           "type": "string",
           "description": "A host name.",
           "minLength": 1,
           "maxLength": 253,
           "pattern": "^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
          }
         },
         "cidrs": {
          "type": "array",
          "description": "Addresses that may be connected to. Any when left out.",
          "maxItems": 64,
          "items": {
           "type": "string",
           "description": "A range such as 10.20.0.0/16 or 2001:db8::/32.",
           "minLength": 1,
           "maxLength": 43,
           "x-kubernetes-validations": [
            {
             "rule": "isCIDR(self)",
             "message": "must be a range of addresses, such as 10.20.0.0/16"
            }
           ]
          }
         },
         "loopback": {
          "type": "boolean",
          "description": "Whether servers on the operator's own machine may be asked.",
          "default": false
         }
        }
       }
      },
      "x-kubernetes-validations": [
       {
        "rule": "self.from == 'Selector' ? has(self.selector) : !has(self.selector)",
        "message": "selector must be given for from Selector, and only then",
        "fieldPath": ".selector"
       }
      ]
     }
    },
    "suspend": {
     "type": "boolean",
     "default": false,
     "description": "Stops work in the datastore, as spec.suspend of each of its repositories would; what is in force stays in force."
    }
   }
  },
  "status": {
   "type": "object",
   "description": "What the operator found and did.",
   "default": {
    "observedGeneration": -1
   },
   "properties": {
    "observedGeneration": {
     "type": "integer",
     "format": "int64",
     "minimum": -1,
     "description": "Generation that this status speaks of; -1 before the operator has seen the object."
    },
    "lastHandledReconcileAt": {
     "type": "string",
     "maxLength": 64,
     "description": "Value of the annotation gueststore.dev/requestedAt that was last acted upon."
    },
    "conditions": {
     "type": "array",
     "description": "What is true of the object now. Types are Ready, Reconciling and Stalled.",
     "maxItems": 16,
     "x-kubernetes-list-type": "map",
     "x-kubernetes-list-map-keys": [
      "type"
     ],
     "items": {
      "type": "object",
      "description": "One fact about the object.",
      "required": [
       "type",
       "status",
       "lastTransitionTime",
       "reason",
       "message"
      ],
      "properties": {
       "type": {
        "type": "string",
        "description": "Which fact.",
        "maxLength": 316,
        "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
       },
       "status": {
        "type": "string",
        "description": "Whether it is so.",
        "enum": [
         "True",
         "False",
         "Unknown"
        ]
       },
       "observedGeneration": {
        "type": "integer",
        "format": "int64",
        "minimum": 0,
        "description": "Generation of the object that this was said of."
       },
       "lastTransitionTime": {
        "type": "string",
        "format": "date-time",
        "maxLength": 64,
        "description": "When status last changed."
       },
       "reason": {
        "type": "string",
        "description": "Why, as one word of a closed set.",
        "minLength": 1,
        "maxLength": 1024,
        "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
       },
       "message": {
        "type": "string",
        "description": "Why, for people; and the way out where there is one.",
        "maxLength": 32768
       }
      }
     }
    },
    "namespaces": {
     "type": "integer",
     "format": "int32",
     "minimum": 0,
     "description": "Namespaces with repositories in it."
    },
    "repositories": {
     "type": "integer",
     "format": "int32",
     "minimum": 0,
     "description": "Repositories that name it."
    },
    "refused": {
     "type": "integer",
     "format": "int32",
     "minimum": 0,
     "description": "Repositories among them that ask for more than they may have; each says what in its own status."
    },
    "bytes": {
     "type": "integer",
     "format": "int64",
     "minimum": 0,
     "description": "Bytes of all content in it."
    }
   }
  }
 }
},
  GuestStoreHost: {
 "type": "object",
 "description": "What the daemon of one host says of itself, as the operator last heard it.",
 "properties": {
  "apiVersion": {
   "type": "string",
   "description": "gueststore.dev/v1alpha1"
  },
  "kind": {
   "type": "string",
   "description": "GuestStoreHost"
  },
  "metadata": {
   "type": "object"
  },
  "spec": {
   "type": "object",
   "description": "Nothing needs to be said; the object is made by the operator.",
   "default": {},
   "properties": {
    "suspend": {
     "type": "boolean",
     "default": false,
     "description": "Stops work on this object; what is in force stays in force."
    }
   }
  },
  "status": {
   "type": "object",
   "description": "What the operator found and did.",
   "default": {
    "observedGeneration": -1
   },
   "properties": {
    "observedGeneration": {
     "type": "integer",
     "format": "int64",
     "minimum": -1,
     "description": "Generation that this status speaks of; -1 before the operator has seen the object."
    },
    "lastHandledReconcileAt": {
     "type": "string",
     "maxLength": 64,
     "description": "Value of the annotation gueststore.dev/requestedAt that was last acted upon."
    },
    "conditions": {
     "type": "array",
     "description": "What is true of the object now. Types are Ready, Reconciling and Stalled.",
     "maxItems": 16,
     "x-kubernetes-list-type": "map",
     "x-kubernetes-list-map-keys": [
      "type"
     ],
     "items": {
      "type": "object",
      "description": "One fact about the object.",
      "required": [
       "type",
       "status",
       "lastTransitionTime",
       "reason",
       "message"
      ],
      "properties": {
       "type": {
        "type": "string",
        "description": "Which fact.",
        "maxLength": 316,
        "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
       },
       "status": {
        "type": "string",
        "description": "Whether it is so.",
        "enum": [
         "True",
         "False",
         "Unknown"
        ]
       },
       "observedGeneration": {
        "type": "integer",
        "format": "int64",
        "minimum": 0,
        "description": "Generation of the object that this was said of."
       },
       "lastTransitionTime": {
        "type": "string",
        "format": "date-time",
        "maxLength": 64,
        "description": "When status last changed."
       },
       "reason": {
        "type": "string",
        "description": "Why, as one word of a closed set.",
        "minLength": 1,
        "maxLength": 1024,
        "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
       },
       "message": {
        "type": "string",
        "description": "Why, for people; and the way out where there is one.",
        "maxLength": 32768
       }
      }
     }
    },
    "version": {
     "type": "string",
     "maxLength": 64,
     "description": "Version of the daemon; of several, the lowest."
    },
    "formats": {
     "type": "array",
     "description": "Formats of the datastore that all its daemons read.",
     "maxItems": 16,
     "items": {
      "type": "integer",
      "format": "int32",
      "minimum": 0,
      "description": "A format."
     }
    },
    "instances": {
     "type": "integer",
     "format": "int32",
     "minimum": 0,
     "description": "Daemons that run on the host; more than one during an update."
    },
    "vms": {
     "type": "integer",
     "format": "int32",
     "minimum": 0,
     "description": "GuestVMs that name the host."
    },
    "space": {
     "type": "object",
     "description": "Space where the daemon keeps content, in steps of 10 % so that it seldom changes.",
     "required": [
      "total",
      "freePercent"
     ],
     "properties": {
      "total": {
       "type": "integer",
       "format": "int64",
       "minimum": 0,
       "description": "Bytes in all."
      },
      "free": {
       "type": "integer",
       "format": "int64",
       "minimum": 0,
       "description": "Bytes free when freePercent last changed."
      },
      "freePercent": {
       "type": "integer",
       "format": "int32",
       "minimum": 0,
       "maximum": 100,
       "description": "Free space in per cent, rounded down to tens."
      }
     }
    }
   }
  }
 }
},
  GuestStoreRepository: {
 "type": "object",
 "description": "One tree of content in a datastore, from which VMs are served.",
 "required": [
  "spec"
 ],
 "properties": {
  "apiVersion": {
   "type": "string",
   "description": "gueststore.dev/v1alpha1"
  },
  "kind": {
   "type": "string",
   "description": "GuestStoreRepository"
  },
  "metadata": {
   "type": "object"
  },
  "spec": {
   "type": "object",
   "description": "What the repository should be.",
   "required": [
    "datastore"
   ],
   "properties": {
    "datastore": {
     "type": "string",
     "description": "Name of a datastore that the operator and the daemons were started with.",
     "minLength": 1,
     "maxLength": 63,
     "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
    },
    "root": {
     "type": "string",
     "description": "Folder of the plain tree in the datastore, without leading or trailing \"/\". One repository claims a root; <namespace>/<name> when left out.",
     "minLength": 1,
     "maxLength": 1023,
     "x-kubernetes-validations": [
      {
       "rule": "!self.startsWith('/')",
       "message": "must be relative to the datastore, without a leading '/'"
      },
      {
       "rule": "!self.matches('(^|/)[.]{0,2}(/|$)') || self.startsWith('/')",
       "message": "must not have an empty, '.' or '..' segment"
      },
      {
       "rule": "self != '.gueststore' && !self.startsWith('.gueststore/')",
       "message": "must not lie in .gueststore, which is the operator's own"
      },
      {
       "rule": "!self.matches(r\"[\\x00-\\x1f\\x7f-\\x9f\\x{2028}\\x{2029}]\")",
       "message": "must not contain control characters or line separators"
      },
      {
       "rule": "!self.matches(r\"[;\\\\]\")",
       "message": "must not contain ';' (it separates rules) or a backslash"
      },
      {
       "rule": "bytes(self).size() <= 1024",
       "message": "must be at most 1024 bytes of UTF-8"
      },
      {
       "rule": "self.split('/').all(s, bytes(s).size() <= 255)",
       "message": "each segment must be at most 255 bytes of UTF-8"
      }
     ]
    },
    "plainTree": {
     "type": "string",
     "description": "Whether content also stands as plain files below root, for people and for ESXi hosts. None saves the space.",
     "enum": [
      "Publish",
      "None"
     ],
     "default": "Publish"
    },
    "maxItemSize": {
     "description": "Largest size of one content file.",
     "x-kubernetes-int-or-string": true,
     "anyOf": [
      {
       "type": "integer"
      },
      {
       "type": "string"
      }
     ],
     "maxLength": 32,
     "pattern": "^([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([KMGTP]i|[kMGTP]|[eE][0-9]{1,2})?$",
     "default": "512Mi",
     "x-kubernetes-validations": [
      {
       "rule": "quantity(string(self)).isGreaterThan(quantity('0'))",
       "message": "must be above zero, such as 512Mi"
      },
      {
       "rule": "quantity(string(self)).compareTo(quantity('512Mi')) <= 0",
       "message": "must be at most 512Mi, the most that GuestStore clients accept"
      }
     ]
    },
    "quota": {
     "description": "Most bytes that all content of the repository may take; unbounded when left out.",
     "x-kubernetes-int-or-string": true,
     "anyOf": [
      {
       "type": "integer"
      },
      {
       "type": "string"
      }
     ],
     "maxLength": 32,
     "pattern": "^([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([KMGTP]i|[kMGTP]|[eE][0-9]{1,2})?$",
     "x-kubernetes-validations": [
      {
       "rule": "quantity(string(self)).isGreaterThan(quantity('0'))",
       "message": "must be above zero, such as 512Mi"
      },
      {
       "rule": "quantity(string(self)).compareTo(quantity('4Pi')) <= 0",
       "message": "must be at most 4Pi"
      }
     ]
    },
    "defaultPosture": {
     "type": "string",
     "description": "What becomes of a path that no rule names. Open lets it pass, as GuestStore does; Closed denies it to every VM.",
     "enum": [
      "Open",
      "Closed"
     ],
     "default": "Open"
    },
    "authoritative": {
     "type": "boolean",
     "description": "True when the items here are the whole tree, so that a path without an item is not found (404). False while the tree is still incomplete, so that such a path is trouble (503).",
     "default": true
    },
    "removalGrace": {
     "type": "string",
     "description": "How long the bytes of a deleted item are still served.",
     "minLength": 2,
     "maxLength": 24,
     "pattern": "^([0-9]{1,5}(h|m|s|ms)){1,4}$",
     "default": "0s"
    },
    "default": {
     "type": "boolean",
     "description": "Serves the VMs of this namespace that name no repository.",
     "default": false
    },
    "allow": {
     "type": "object",
     "description": "Which other namespaces may refer to this repository.",
     "default": {},
     "properties": {
      "items": {
       "type": "object",
       "description": "Whose ContentItems may publish here.",
       "default": {
        "from": "Same"
       },
       "properties": {
        "from": {
         "type": "string",
         "description": "Same is this repository's namespace, All every namespace, Selector those whose labels match.",
         "enum": [
          "Same",
          "All",
          "Selector"
         ],
         "default": "Same"
        },
        "selector": {
         "type": "object",
         "description": "Labels of the namespaces, for Selector.",
         "properties": {
          "matchLabels": {
           "type": "object",
           "description": "Labels that must be there with exactly these values.",
           "maxProperties": 64,
           "additionalProperties": {
            "type": "string",
            "maxLength": 63,
            "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
           }
          },
          "matchExpressions": {
           "type": "array",
           "description": "Conditions on labels that must all hold.",
           "maxItems": 64,
           "items": {
            "type": "object",
            "description": "A condition on one label.",
            "required": [
             "key",
             "operator"
            ],
            "properties": {
             "key": {
              "type": "string",
              "description": "Key of the label.",
              "minLength": 1,
              "maxLength": 317,
              "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
             },
             "operator": {
              "type": "string",
              "description": "How the label relates to the values.",
              "enum": [
               "In",
               "NotIn",
               "Exists",
               "DoesNotExist"
              ]
             },
             "values": {
              "type": "array",
              "description": "Values for In and NotIn.",
              "maxItems": 64,
              "items": {
               "type": "string",
               "description": "A value of the label.",
               "maxLength": 63,
               "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
              }
             }
            },
            "x-kubernetes-validations": [
             {
              "rule": "self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 : true",
              "message": "In and NotIn need at least one value",
              "fieldPath": ".values"
             },
             {
              "rule": "self.operator in ['Exists', 'DoesNotExist'] ? !has(self.values) || size(self.values) == 0 : true",
              "message": "Exists and DoesNotExist take no values",
              "fieldPath": ".values"
             }
            ]
           }
          }
         }
        }
       },
       "x-kubernetes-validations": [
        {
         "rule": "self.from == 'Selector' ? has(self.selector) : !has(self.selector)",
         "message": "selector must be given for from Selector, and only then",
         "fieldPath": ".selector"
        }
       ]
      },
      "vms": {
       "type": "object",
       "description": "Whose GuestVMs may be served from here.",
       "default": {
        "from": "Same"
       },
       "properties": {
        "from": {
         "type": "string",
         "description": "Same is this repository's namespace, All every namespace, Selector those whose labels match.",
         "enum": [
          "Same",
          "All",
          "Selector"
         ],
         "default": "Same"
        },
        "selector": {
         "type": "object",
         "description": "Labels of the namespaces, for Selector.",
         "properties": {
          "matchLabels": {
           "type": "object",
           "description": "Labels that must be there with exactly these values.",
           "maxProperties": 64,
           "additionalProperties": {
            "type": "string",
            "maxLength": 63,
            "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
           }
          },
          "matchExpressions": {
           "type": "array",
           "description": "Conditions on labels that must all hold.",
           "maxItems": 64,
           "items": {
            "type": "object",
            "description": "A condition on one label.",
            "required": [
             "key",
             "operator"
            ],
            "properties": {
             "key": {
              "type": "string",
              "description": "Key of the label.",
              "minLength": 1,
              "maxLength": 317,
              "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
             },
             "operator": {
              "type": "string",
              "description": "How the label relates to the values.",
              "enum": [
               "In",
               "NotIn",
               "Exists",
               "DoesNotExist"
              ]
             },
             "values": {
              "type": "array",
              "description": "Values for In and NotIn.",
              "maxItems": 64,
              "items": {
               "type": "string",
               "description": "A value of the label.",
               "maxLength": 63,
               "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
              }
             }
            },
            "x-kubernetes-validations": [
             {
              "rule": "self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 : true",
              "message": "In and NotIn need at least one value",
              "fieldPath": ".values"
             },
             {
              "rule": "self.operator in ['Exists', 'DoesNotExist'] ? !has(self.values) || size(self.values) == 0 : true",
              "message": "Exists and DoesNotExist take no values",
              "fieldPath": ".values"
             }
            ]
           }
          }
         }
        }
       },
       "x-kubernetes-validations": [
        {
         "rule": "self.from == 'Selector' ? has(self.selector) : !has(self.selector)",
         "message": "selector must be given for from Selector, and only then",
         "fieldPath": ".selector"
        }
       ]
      }
     }
    },
    "retention": {
     "type": "object",
     "description": "Which old revisions are kept for a rollback. What either bound would keep is kept.",
     "properties": {
      "revisions": {
       "type": "integer",
       "format": "int32",
       "minimum": 1,
       "maximum": 10000,
       "description": "How many revisions."
      },
      "age": {
       "type": "string",
       "description": "Revisions younger than this.",
       "minLength": 2,
       "maxLength": 24,
       "pattern": "^([0-9]{1,5}(h|m|s|ms)){1,4}$",
       "x-kubernetes-validations": [
        {
         "rule": "duration(self) >= duration('1s')",
         "message": "must be at least 1s"
        }
       ]
      }
     }
    },
    "scrubInterval": {
     "type": "string",
     "description": "How often all stored bytes are hashed again.",
     "minLength": 2,
     "maxLength": 24,
     "pattern": "^([0-9]{1,5}(h|m|s|ms)){1,4}$",
     "default": "24h",
     "x-kubernetes-validations": [
      {
       "rule": "duration(self) >= duration('1s')",
       "message": "must be at least 1s"
      }
     ]
    },
    "interval": {
     "type": "string",
     "description": "How often remote sources are asked, where an item does not say.",
     "minLength": 2,
     "maxLength": 24,
     "pattern": "^([0-9]{1,5}(h|m|s|ms)){1,4}$",
     "default": "5m",
     "x-kubernetes-validations": [
      {
       "rule": "duration(self) >= duration('1s')",
       "message": "must be at least 1s"
      }
     ]
    },
    "unmanaged": {
     "type": "string",
     "description": "What becomes of files in the tree that no item names. Ignore leaves them alone, Adopt serves them.",
     "enum": [
      "Ignore",
      "Adopt"
     ],
     "default": "Ignore"
    },
    "revision": {
     "type": "integer",
     "format": "int64",
     "minimum": 1,
     "maximum": 9007199254740991,
     "description": "Pins content to this revision of the datastore; rules are never pinned."
    },
    "suspend": {
     "type": "boolean",
     "default": false,
     "description": "Stops work on this object; what is in force stays in force."
    }
   }
  },
  "status": {
   "type": "object",
   "description": "What the operator found and did.",
   "default": {
    "observedGeneration": -1
   },
   "properties": {
    "observedGeneration": {
     "type": "integer",
     "format": "int64",
     "minimum": -1,
     "description": "Generation that this status speaks of; -1 before the operator has seen the object."
    },
    "lastHandledReconcileAt": {
     "type": "string",
     "maxLength": 64,
     "description": "Value of the annotation gueststore.dev/requestedAt that was last acted upon."
    },
    "conditions": {
     "type": "array",
     "description": "What is true of the object now. Types are Ready, Reconciling, Stalled, Stored, Served and NotSupportedYet.",
     "maxItems": 16,
     "x-kubernetes-list-type": "map",
     "x-kubernetes-list-map-keys": [
      "type"
     ],
     "items": {
      "type": "object",
      "description": "One fact about the object.",
      "required": [
       "type",
       "status",
       "lastTransitionTime",
       "reason",
       "message"
      ],
      "properties": {
       "type": {
        "type": "string",
        "description": "Which fact.",
        "maxLength": 316,
        "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
       },
       "status": {
        "type": "string",
        "description": "Whether it is so.",
        "enum": [
         "True",
         "False",
         "Unknown"
        ]
       },
       "observedGeneration": {
        "type": "integer",
        "format": "int64",
        "minimum": 0,
        "description": "Generation of the object that this was said of."
       },
       "lastTransitionTime": {
        "type": "string",
        "format": "date-time",
        "maxLength": 64,
        "description": "When status last changed."
       },
       "reason": {
        "type": "string",
        "description": "Why, as one word of a closed set.",
        "minLength": 1,
        "maxLength": 1024,
        "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
       },
       "message": {
        "type": "string",
        "description": "Why, for people; and the way out where there is one.",
        "maxLength": 32768
       }
      }
     }
    },
    "revision": {
     "type": "integer",
     "format": "int64",
     "minimum": 0,
     "description": "Revision of the datastore in which this repository last changed."
    },
    "items": {
     "type": "integer",
     "format": "int32",
     "minimum": 0,
     "description": "Content items that claim a path here."
    },
    "bytes": {
     "type": "integer",
     "format": "int64",
     "minimum": 0,
     "description": "Bytes of all content."
    },
    "hosts": {
     "type": "object",
     "description": "Hosts with VMs of this repository.",
     "required": [
      "total",
      "current"
     ],
     "properties": {
      "total": {
       "type": "integer",
       "format": "int32",
       "minimum": 0,
       "description": "How many there are."
      },
      "current": {
       "type": "integer",
       "format": "int32",
       "minimum": 0,
       "description": "How many of them serve the newest revision."
      },
      "unreachable": {
       "type": "array",
       "description": "Hosts whose daemon does not speak, the first 64 by name.",
       "maxItems": 64,
       "items": {
        "type": "string",
        "description": "Name of a host.",
        "maxLength": 253
       }
      }
     }
    }
   }
  }
 }
},
  GuestVM: {
 "type": "object",
 "description": "One VM, how its requests arrive and what it is served from.",
 "required": [
  "spec"
 ],
 "properties": {
  "apiVersion": {
   "type": "string",
   "description": "gueststore.dev/v1alpha1"
  },
  "kind": {
   "type": "string",
   "description": "GuestVM"
  },
  "metadata": {
   "type": "object"
  },
  "spec": {
   "type": "object",
   "description": "Which VM, how it is met, and what it is served from.",
   "required": [
    "channel"
   ],
   "properties": {
    "uid": {
     "type": "string",
     "description": "Identifier of the VM with its hypervisor, such as a libvirt domain's UUID.",
     "minLength": 1,
     "maxLength": 128
    },
    "host": {
     "type": "string",
     "description": "Host whose daemon serves the VM; left out for vsphere and vmOperator, which have no daemon.",
     "minLength": 1,
     "maxLength": 253,
     "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
    },
    "channel": {
     "type": "object",
     "description": "How the VM is met; exactly one.",
     "properties": {
      "hybridUDS": {
       "type": "object",
       "description": "Firecracker, Cloud Hypervisor, vhost-device-vsock, a Unix socket <path>_<port>.",
       "properties": {
        "path": {
         "type": "string",
         "description": "Socket of the VMM, relative to the folder of the namespace in the run folder, or absolute below its socket root; <name>.vsock when left out.",
         "minLength": 1,
         "maxLength": 106,
         "x-kubernetes-validations": [
          {
           "rule": "!self.matches('(^|/)[.]{1,2}(/|$)')",
           "message": "must not have a '.' or '..' segment"
          },
          {
           "rule": "!self.matches('//|/$')",
           "message": "must not have an empty segment"
          },
          {
           "rule": "!self.matches(r\"[\\x00-\\x1f\\x7f]\")",
           "message": "must not contain control characters"
          }
         ]
        },
        "port": {
         "type": "integer",
         "format": "int64",
         "minimum": 1,
         "maximum": 4294967294,
         "default": 1024,
         "description": "Port of the vsock that guests connect to."
        },
        "uid": {
         "type": "integer",
         "format": "int64",
         "minimum": 0,
         "maximum": 4294967294,
         "description": "User that the VMM runs as; the daemon's own when left out."
        },
        "gid": {
         "type": "integer",
         "format": "int64",
         "minimum": 0,
         "maximum": 4294967294,
         "description": "Group that the VMM runs as; the daemon's own when left out."
        }
       },
       "x-kubernetes-validations": [
        {
         "rule": "!has(self.path) || bytes(self.path).size() + 1 + string(self.port).size() <= 107",
         "message": "path, '_' and port must be at most 107 bytes, the most that a Unix socket's address holds",
         "fieldPath": ".path"
        }
       ]
      },
      "serial": {
       "type": "object",
       "description": "QEMU or libvirt with virtio-serial, one Unix socket a VM.",
       "required": [
        "path"
       ],
       "properties": {
        "path": {
         "type": "string",
         "description": "Socket, relative to the folder of the namespace in the run folder, or absolute below its socket root.",
         "minLength": 1,
         "maxLength": 107,
         "x-kubernetes-validations": [
          {
           "rule": "!self.matches('(^|/)[.]{1,2}(/|$)')",
           "message": "must not have a '.' or '..' segment"
          },
          {
           "rule": "!self.matches('//|/$')",
           "message": "must not have an empty segment"
          },
          {
           "rule": "!self.matches(r\"[\\x00-\\x1f\\x7f]\")",
           "message": "must not contain control characters"
          },
          {
           "rule": "bytes(self).size() <= 107",
           "message": "must be at most 107 bytes, the most that a Unix socket's address holds"
          }
         ]
        },
        "mode": {
         "type": "string",
         "description": "Listen, the daemon makes the socket and the VMM connects. Connect, the other way round.",
         "enum": [
          "Listen",
          "Connect"
         ],
         "default": "Listen"
        }
       }
      },
      "vsock": {
       "type": "object",
       "description": "KubeVirt or vhost-vsock, the kernel's own vsock.",
       "required": [
        "cid"
       ],
       "properties": {
        "cid": {
         "type": "integer",
         "format": "int64",
         "minimum": 3,
         "maximum": 4294967294,
         "description": "Context identifier of the VM on its host."
        },
        "port": {
         "type": "integer",
         "format": "int64",
         "minimum": 1,
         "maximum": 4294967294,
         "default": 1024,
         "description": "Port that guests connect to."
        }
       }
      },
      "tls": {
       "type": "object",
       "description": "A VM with a network, known by its client certificate.",
       "required": [
        "subject"
       ],
       "properties": {
        "subject": {
         "type": "string",
         "description": "Common name of the certificate.",
         "minLength": 1,
         "maxLength": 256
        }
       }
      },
      "vsphere": {
       "type": "object",
       "description": "A VM on vSphere, served by VMware's own gstored.",
       "required": [
        "instanceUUID"
       ],
       "properties": {
        "server": {
         "type": "string",
         "description": "Name of the vCenter Server; the only one configured when left out.",
         "minLength": 1,
         "maxLength": 253,
         "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
        },
        "instanceUUID": {
         "type": "string",
         "description": "Instance UUID of the VM.",
         "minLength": 1,
         "maxLength": 36,
         "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
        }
       }
      },
      "vmOperator": {
       "type": "object",
       "description": "A VirtualMachine of vm-operator, served by VMware's own gstored.",
       "properties": {
        "name": {
         "type": "string",
         "description": "Name of the VirtualMachine, in the same namespace; this object's name when left out.",
         "minLength": 1,
         "maxLength": 253,
         "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
        }
       }
      }
     },
     "x-kubernetes-validations": [
      {
       "rule": "[has(self.hybridUDS), has(self.serial), has(self.vsock), has(self.tls), has(self.vsphere), has(self.vmOperator)].filter(given, given).size() == 1",
       "message": "exactly one channel must be given"
      }
     ]
    },
    "repositoryRef": {
     "type": "object",
     "description": "The repository that it is served from; the namespace's only one or its default when left out.",
     "required": [
      "name"
     ],
     "properties": {
      "name": {
       "type": "string",
       "description": "Name of the GuestStoreRepository.",
       "minLength": 1,
       "maxLength": 253,
       "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
      },
      "namespace": {
       "type": "string",
       "description": "Its namespace; the own one when left out.",
       "minLength": 1,
       "maxLength": 63,
       "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
      }
     }
    },
    "enabled": {
     "type": "boolean",
     "description": "Whether the VM may fetch anything. False answers every request with 503.",
     "default": true
    },
    "suspend": {
     "type": "boolean",
     "default": false,
     "description": "Stops work on this object; what is in force stays in force."
    }
   },
   "x-kubernetes-validations": [
    {
     "rule": "has(self.host) || has(self.channel.vsphere) || has(self.channel.vmOperator)",
     "message": "host is required, unless the channel is vsphere or vmOperator",
     "fieldPath": ".host",
     "reason": "FieldValueRequired"
    },
    {
     "rule": "!has(self.host) || !(has(self.channel.vsphere) || has(self.channel.vmOperator))",
     "message": "host must be left out when the channel is vsphere or vmOperator",
     "fieldPath": ".host",
     "reason": "FieldValueForbidden"
    }
   ]
  },
  "status": {
   "type": "object",
   "description": "What the operator found and did.",
   "default": {
    "observedGeneration": -1
   },
   "properties": {
    "observedGeneration": {
     "type": "integer",
     "format": "int64",
     "minimum": -1,
     "description": "Generation that this status speaks of; -1 before the operator has seen the object."
    },
    "lastHandledReconcileAt": {
     "type": "string",
     "maxLength": 64,
     "description": "Value of the annotation gueststore.dev/requestedAt that was last acted upon."
    },
    "conditions": {
     "type": "array",
     "description": "What is true of the object now. Types are Ready, Reconciling, Stalled, RulesEffective, Served, Programmed and NotSupportedYet.",
     "maxItems": 16,
     "x-kubernetes-list-type": "map",
     "x-kubernetes-list-map-keys": [
      "type"
     ],
     "items": {
      "type": "object",
      "description": "One fact about the object.",
      "required": [
       "type",
       "status",
       "lastTransitionTime",
       "reason",
       "message"
      ],
      "properties": {
       "type": {
        "type": "string",
        "description": "Which fact.",
        "maxLength": 316,
        "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
       },
       "status": {
        "type": "string",
        "description": "Whether it is so.",
        "enum": [
         "True",
         "False",
         "Unknown"
        ]
       },
       "observedGeneration": {
        "type": "integer",
        "format": "int64",
        "minimum": 0,
        "description": "Generation of the object that this was said of."
       },
       "lastTransitionTime": {
        "type": "string",
        "format": "date-time",
        "maxLength": 64,
        "description": "When status last changed."
       },
       "reason": {
        "type": "string",
        "description": "Why, as one word of a closed set.",
        "minLength": 1,
        "maxLength": 1024,
        "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
       },
       "message": {
        "type": "string",
        "description": "Why, for people; and the way out where there is one.",
        "maxLength": 32768
       }
      }
     }
    },
    "repository": {
     "type": "string",
     "maxLength": 317,
     "description": "Namespace and name of the repository that the VM is served from."
    },
    "ruleSet": {
     "type": "string",
     "description": "Digest of the effective rules.",
     "minLength": 1,
     "maxLength": 71,
     "pattern": "^sha256:[0-9a-f]{64}$"
    },
    "rules": {
     "type": "object",
     "description": "How many rules are in force.",
     "required": [
      "grant",
      "deny"
     ],
     "properties": {
      "grant": {
       "type": "integer",
       "format": "int32",
       "minimum": 0,
       "description": "Rules that grant."
      },
      "deny": {
       "type": "integer",
       "format": "int32",
       "minimum": 0,
       "description": "Rules that deny."
      }
     }
    },
    "policies": {
     "type": "array",
     "description": "Where the rules come from, the first 64 in the order in which they are tried.",
     "maxItems": 64,
     "items": {
      "type": "object",
      "description": "One policy (or a repository of Closed posture).",
      "required": [
       "kind",
       "name"
      ],
      "properties": {
       "kind": {
        "type": "string",
        "description": "Kind of the object.",
        "maxLength": 63
       },
       "namespace": {
        "type": "string",
        "description": "Its namespace; absent for a cluster-wide one.",
        "maxLength": 63
       },
       "name": {
        "type": "string",
        "description": "Its name.",
        "maxLength": 253
       },
       "generation": {
        "type": "integer",
        "format": "int64",
        "minimum": 0,
        "description": "Generation that is in force."
       }
      }
     }
    },
    "grant": {
     "type": "string",
     "maxLength": 8192,
     "description": "The setting guestStore.access.grant; absent beyond 8 KiB."
    },
    "deny": {
     "type": "string",
     "maxLength": 8192,
     "description": "The setting guestStore.access.deny; absent beyond 8 KiB."
    },
    "targets": {
     "type": "array",
     "description": "Where the settings go, and whether they are in force there.",
     "maxItems": 8,
     "x-kubernetes-list-type": "map",
     "x-kubernetes-list-map-keys": [
      "name"
     ],
     "items": {
      "type": "object",
      "description": "One target.",
      "required": [
       "name",
       "applied"
      ],
      "properties": {
       "name": {
        "type": "string",
        "description": "Name of the target, such as daemon.",
        "maxLength": 63
       },
       "applied": {
        "type": "boolean",
        "description": "Whether the newest settings are in force."
       },
       "reason": {
        "type": "string",
        "description": "Why not, as one word.",
        "maxLength": 64
       },
       "message": {
        "type": "string",
        "description": "Why not, for people.",
        "maxLength": 1024
       }
      }
     }
    }
   }
  }
 },
 "x-kubernetes-validations": [
  {
   "rule": "!has(self.spec.channel.hybridUDS) || has(self.spec.channel.hybridUDS.path) || self.metadata.name.size() + 7 + string(self.spec.channel.hybridUDS.port).size() <= 107",
   "message": "without a path the socket is <name>.vsock_<port>, which must be at most 107 bytes; give a shorter path",
   "fieldPath": ".spec.channel.hybridUDS"
  }
 ]
},
  VMAccessPolicy: {
 "type": "object",
 "description": "What VMs of this namespace may fetch and what not.",
 "required": [
  "spec"
 ],
 "properties": {
  "apiVersion": {
   "type": "string",
   "description": "gueststore.dev/v1alpha1"
  },
  "kind": {
   "type": "string",
   "description": "VMAccessPolicy"
  },
  "metadata": {
   "type": "object"
  },
  "spec": {
   "type": "object",
   "description": "Which VMs, and what they may fetch.",
   "required": [
    "vmSelector"
   ],
   "properties": {
    "vmSelector": {
     "type": "object",
     "description": "VMs that the rules apply to, by label and name; empty selects all.",
     "properties": {
      "matchLabels": {
       "type": "object",
       "description": "Labels that must be there with exactly these values.",
       "maxProperties": 64,
       "additionalProperties": {
        "type": "string",
        "maxLength": 63,
        "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
       }
      },
      "matchExpressions": {
       "type": "array",
       "description": "Conditions on labels that must all hold.",
       "maxItems": 64,
       "items": {
        "type": "object",
        "description": "A condition on one label.",
        "required": [
         "key",
         "operator"
        ],
        "properties": {
         "key": {
          "type": "string",
          "description": "Key of the label.",
          "minLength": 1,
          "maxLength": 317,
          "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
         },
         "operator": {
          "type": "string",
          "description": "How the label relates to the values.",
          "enum": [
           "In",
           "NotIn",
           "Exists",
           "DoesNotExist"
          ]
         },
         "values": {
          "type": "array",
          "description": "Values for In and NotIn.",
          "maxItems": 64,
          "items": {
           "type": "string",
           "description": "A value of the label.",
           "maxLength": 63,
           "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
          }
         }
        },
        "x-kubernetes-validations": [
         {
          "rule": "self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 : true",
          "message": "In and NotIn need at least one value",
          "fieldPath": ".values"
         },
         {
          "rule": "self.operator in ['Exists', 'DoesNotExist'] ? !has(self.values) || size(self.values) == 0 : true",
          "message": "Exists and DoesNotExist take no values",
          "fieldPath": ".values"
         }
        ]
       }
      },
      "names": {
       "type": "array",
       "description": "Names of GuestVMs. When given, a VM must bear one of them (and match the labels too, where labels are given).",
       "maxItems": 256,
       "items": {
        "type": "string",
        "description": "Name of a GuestVM.",
        "minLength": 1,
        "maxLength": 253,
        "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
       }
      }
     }
    },
    "grant": {
     "type": "array",
     "description": "Content paths that the VMs may fetch. A grant beats every deny, of any policy.",
     "maxItems": 256,
     "items": {
      "type": "string",
      "description": "A regular expression in RE2 syntax; \".\" matches every character.",
      "minLength": 1,
      "maxLength": 1024,
      "x-kubernetes-validations": [
       {
        "rule": "!self.contains(';')",
        "message": "must not contain ';', which separates rules"
       },
       {
        "rule": "''.matches(self) in [true, false]",
        "message": "must be a regular expression in RE2 syntax that compiles by itself"
       }
      ]
     }
    },
    "deny": {
     "type": "array",
     "description": "Content paths that the VMs may not fetch, unless granted.",
     "maxItems": 256,
     "items": {
      "type": "string",
      "description": "A regular expression in RE2 syntax; \".\" matches every character.",
      "minLength": 1,
      "maxLength": 1024,
      "x-kubernetes-validations": [
       {
        "rule": "!self.contains(';')",
        "message": "must not contain ';', which separates rules"
       },
       {
        "rule": "''.matches(self) in [true, false]",
        "message": "must be a regular expression in RE2 syntax that compiles by itself"
       }
      ]
     }
    },
    "match": {
     "type": "string",
     "description": "Whole, a rule must match the whole content path. Search, anywhere in it.",
     "enum": [
      "Whole",
      "Search"
     ],
     "default": "Whole"
    },
    "mode": {
     "type": "string",
     "description": "Enforce puts the rules in force. Audit only says in logs what they would decide.",
     "enum": [
      "Enforce",
      "Audit"
     ],
     "default": "Enforce"
    },
    "suspend": {
     "type": "boolean",
     "default": false,
     "description": "Stops work on this object; what is in force stays in force."
    }
   }
  },
  "status": {
   "type": "object",
   "description": "What the operator found and did.",
   "default": {
    "observedGeneration": -1
   },
   "properties": {
    "observedGeneration": {
     "type": "integer",
     "format": "int64",
     "minimum": -1,
     "description": "Generation that this status speaks of; -1 before the operator has seen the object."
    },
    "lastHandledReconcileAt": {
     "type": "string",
     "maxLength": 64,
     "description": "Value of the annotation gueststore.dev/requestedAt that was last acted upon."
    },
    "conditions": {
     "type": "array",
     "description": "What is true of the object now. Types are Ready, Reconciling, Stalled, RulesEffective, Programmed and NotSupportedYet.",
     "maxItems": 16,
     "x-kubernetes-list-type": "map",
     "x-kubernetes-list-map-keys": [
      "type"
     ],
     "items": {
      "type": "object",
      "description": "One fact about the object.",
      "required": [
       "type",
       "status",
       "lastTransitionTime",
       "reason",
       "message"
      ],
      "properties": {
       "type": {
        "type": "string",
        "description": "Which fact.",
        "maxLength": 316,
        "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
       },
       "status": {
        "type": "string",
        "description": "Whether it is so.",
        "enum": [
         "True",
         "False",
         "Unknown"
        ]
       },
       "observedGeneration": {
        "type": "integer",
        "format": "int64",
        "minimum": 0,
        "description": "Generation of the object that this was said of."
       },
       "lastTransitionTime": {
        "type": "string",
        "format": "date-time",
        "maxLength": 64,
        "description": "When status last changed."
       },
       "reason": {
        "type": "string",
        "description": "Why, as one word of a closed set.",
        "minLength": 1,
        "maxLength": 1024,
        "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
       },
       "message": {
        "type": "string",
        "description": "Why, for people; and the way out where there is one.",
        "maxLength": 32768
       }
      }
     }
    },
    "matched": {
     "type": "integer",
     "format": "int32",
     "minimum": 0,
     "description": "VMs that are selected."
    },
    "programmed": {
     "type": "integer",
     "format": "int32",
     "minimum": 0,
     "description": "Selected VMs whose host has put these rules in force."
    },
    "warnings": {
     "type": "array",
     "description": "Findings on the rules, the first 32.",
     "maxItems": 32,
     "items": {
      "type": "object",
      "description": "One finding.",
      "required": [
       "code",
       "message"
      ],
      "properties": {
       "code": {
        "type": "string",
        "description": "Kind of finding.",
        "maxLength": 64
       },
       "message": {
        "type": "string",
        "description": "What it means here.",
        "maxLength": 1024
       },
       "witness": {
        "type": "string",
        "description": "A content path that shows it.",
        "maxLength": 1024
       }
      }
     }
    }
   }
  }
 }
},
};
